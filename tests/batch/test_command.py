"""``partway batch``: folders, lists, masks, strengths; what is kept, what fails, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
from batches import Drawn, outputs, reported, states
from command import Captured, refused, run
from partway.run.entries import seed_of


def batch(capsys: Captured, model: Path, *arguments: object, code: int = 0) -> str:
    """Run the command into ``out``, and return what it said on standard output."""
    found, out, err = run(capsys, "batch", *arguments, "-o", "out", "-m", model, "-q")
    assert found == code, err
    return out


def test_a_folder_becomes_a_folder(drawn: Drawn, model: Path, capsys: Captured):
    for name in ("a.png", "below/b.jpg", "below/b.png", ".hidden/c.png"):
        drawn(name, len(name))
    Path("rooms/notes.txt").write_text("no picture")
    said = batch(capsys, model, "rooms", "warm light", "--strength", "0.5", "--seed", "3")
    assert set(outputs("out")) == {"a.png", "below/b.jpg.png", "below/b.png.png"}
    assert states("out")["notes.png"] == "no picture"
    assert "4 pictures: 3 made, 1 no picture" in said
    pipe = partway.load(model, threads=1)
    alone = pipe.img2img("rooms/below/b.jpg", "warm light", strength=0.5, seed=seed_of("below/b.jpg", 3))
    assert np.array_equal(Image.open("out/below/b.jpg.png"), alone.image)


def test_python_makes_the_same_pictures(drawn: Drawn, model: Path, capsys: Captured):
    paths = [drawn(f"{n}.png", n) for n in range(3)]
    batch(capsys, model, "rooms", "warm light", "--at-once", 2)
    for done in partway.load(model, threads=1).batch(paths, "warm light"):
        assert done.result is not None
        assert np.array_equal(done.result.image, Image.open(Path("out", done.entry.name)))


def test_a_result_is_replayed_by_img2img(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    batch(capsys, model, "rooms", "warm light", "--strength", "0.4")
    assert run(capsys, "img2img", "rooms/a.png", "--from-png", "out/a.png", "-o", "again.png", "--threads", 1)[0] == 0
    assert np.array_equal(Image.open("again.png"), Image.open("out/a.png"))


def test_what_is_done_is_kept_until_something_changes(drawn: Drawn, model: Path, capsys: Captured):
    for name in ("a.png", "b.png"):
        drawn(name)
    batch(capsys, model, "rooms", "warm light")
    first, stamp = outputs("out"), Path("out/a.png").stat().st_mtime_ns
    drawn("b.png", 50)
    batch(capsys, model, "rooms", "warm light", "--at-once", 1)
    assert states("out") == {"a.png": "kept", "b.png": "made"}
    assert Path("out/a.png").stat().st_mtime_ns == stamp
    assert outputs("out")["b.png"] != first["b.png"]
    batch(capsys, model, "rooms", "warm light", "--strength", "0.3")
    assert set(states("out").values()) == {"made"}
    Path("out/a.png").write_bytes(first["a.png"][:200])  # as no run of ours leaves it
    batch(capsys, model, "rooms", "warm light", "--strength", "0.3")
    assert states("out") == {"a.png": "made", "b.png": "kept"}


def test_odd_files_each_have_a_fate(drawn: Drawn, model: Path, capsys: Captured):
    path = drawn("plain.png")
    plain, exif = Image.open(path), Image.Exif()
    exif[0x0112] = 6
    plain.save("rooms/turned.jpg", exif=exif)
    plain.convert("CMYK").save("rooms/inks.tif")
    Image.fromarray(np.asarray(plain.convert("L")).astype(np.uint16) * 257).save("rooms/deep.png")
    plain.save("rooms/moving.gif", save_all=True, append_images=[plain.rotate(180)])
    plain.convert("RGBA").save("rooms/clear.webp")
    Path("rooms/cut.png").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    Path("rooms/empty.jpg").touch()
    Path("rooms/page.html").write_text("<html>")
    batch(capsys, model, "rooms", "warm light", code=1)
    found = states("out")
    assert {name for name, state in found.items() if state == "failed"} == {"cut.png", "empty.png"}
    assert found.pop("page.png") == "no picture"
    assert sorted(outputs("out")) == ["clear.png", "deep.png", "inks.png", "moving.png", "plain.png", "turned.png"]
    assert Image.open("out/turned.png").size == (24, 40)
    assert "damaged or cut short" in reported("out")["cut.png"]["problem"]


def test_fail_fast_ends_with_the_first(drawn: Drawn, model: Path, capsys: Captured):
    for number in range(12):
        drawn(f"{number:02}.png", number)
    Path("rooms/00.png").write_bytes(b"")
    batch(capsys, model, "rooms", "warm light", "--fail-fast", "--at-once", 1, code=1)
    assert states("out")["00.png"] == "failed"
    assert len(states("out")) < 12


def test_a_pattern(drawn: Drawn, model: Path, capsys: Captured):
    for name in ("a/x.png", "b/x.png", "b/y.jpg"):
        drawn(name)
    batch(capsys, model, "rooms/*/x.png", "warm light")
    assert set(outputs("out")) == {"a/x.png", "b/x.png"}


def test_masks_by_a_rule(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    drawn("b.png")
    mask = np.pad(np.full((8, 16), 255, np.uint8), ((8, 8), (12, 12)))
    Image.fromarray(mask).save("rooms/a-mask.png")
    batch(capsys, model, "rooms", "warm light", "--masks", "{stem}-mask.png", "--strength", "0.9", code=1)
    assert states("out") == {"a.png": "made", "b.png": "failed"}
    made, before = np.asarray(Image.open("out/a.png")), np.asarray(Image.open("rooms/a.png"))
    assert np.array_equal(made[mask == 0], before[mask == 0]) and not np.array_equal(made, before)


def test_a_sweep_over_strengths(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.jpg")
    batch(capsys, model, "rooms", "warm light", "--strengths", "0,0.5,1", "--format", "webp")
    assert set(outputs("out")) == {"a-0.webp", "a-0.5.webp", "a-1.webp"}
    assert {row["strength"] for row in reported("out").values()} == {"0.0", "0.5", "1.0"}


ROWS = [
    {"picture": "rooms/a.png", "prompt": "snow", "strength": 0.4, "seed": 5},
    {"picture": "rooms/b.png", "mask": "mask.png", "negative_prompt": "-dark", "guidance_zero_star": True},
    {"picture": "rooms/b.png", "output": "more/c.png", "steps": 4},
]


def listed(suffix: str) -> Path:
    """The rows as a list."""
    if suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
    else:
        names = list(dict.fromkeys(name for row in ROWS for name in row))
        lines = [[str(row.get(name, "")) for name in names] for row in ROWS if "guidance_zero_star" not in row]
        text = "\n".join(",".join(line) for line in [names, *lines])
    path = Path(f"list{suffix}")
    path.write_text(text)
    return path


def test_a_list_of_json_lines_says_what_each_picture_has(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    drawn("b.png")
    Image.new("L", (40, 24), 255).save("mask.png")
    batch(capsys, model, listed(".jsonl"), "warm light", "--strength", "0.6")
    pipe = partway.load(model, threads=1)
    assert set(outputs("out")) == {"rooms/a.png", "rooms/b.png", "more/c.png"}
    alone = [
        pipe.img2img("rooms/a.png", "snow", strength=0.4, seed=5),
        pipe.inpaint(
            "rooms/b.png",
            "mask.png",
            "warm light",
            negative_prompt="-dark",
            guidance_zero_star=True,
            seed=seed_of("rooms/b.png", 0),
        ),
        pipe.img2img("rooms/b.png", "warm light", steps=4, seed=seed_of("rooms/b.png", 0)),
    ]
    for name, one in zip(("rooms/a.png", "rooms/b.png", "more/c.png"), alone, strict=True):
        assert np.array_equal(Image.open(Path("out", name)), one.image), name


def test_a_csv_list_is_read_as_flags_are(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    drawn("b.png")
    batch(capsys, model, listed(".csv"), "warm light")
    assert {name: (row["seed"], row["strength"]) for name, row in reported("out").items()} == {
        "rooms/a.png": ("5", "0.4"),
        "more/c.png": (str(seed_of("rooms/b.png", 0)), "0.6"),
    }


def test_a_dry_run_makes_nothing(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    drawn("b.png", size=(64, 24))
    batch(capsys, model, "rooms", "warm light", "--strength", "0.5")
    drawn("c.png", size=(64, 24))
    before = outputs("out")
    said = batch(capsys, model, "rooms", "warm light", "--strength", "0.5", "--dry-run")
    assert "1 of 64x24: strength 0.5: 10 of 20 steps" in said and "MB of memory" in said
    assert "3 pictures, of which 2 are done" in said
    assert outputs("out") == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere", "x"], "no such folder"),
        (["rooms"], "which prompt"),
        (["rooms", "x", "--seed", "-1"], "not negative"),
        (["rooms", "x", "--format", "tiff"], "picture format"),
        (["rooms", "x", "--masks", "mask.png"], "{stem}"),
        (["rooms", "x", "--strengths", "0,2"], "strength"),
        (["rooms", "x", "--watch", "--ray"], "leave out --ray"),
        (["rooms/bad.csv", "x"], "bad.csv line 2: argument --strength"),
        (["rooms/bad.csv"], "bad.csv line 2: no prompt"),
        (["rooms/odd.jsonl", "x"], "odd.jsonl line 1 is no JSON"),
        (["rooms/twice.jsonl", "x"], "two pictures would become"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(drawn: Drawn, model: Path, capsys: Captured, arguments: list, why: str):
    drawn("a.png")
    Path("rooms/bad.csv").write_text("picture,strength\na.png,high\n")
    Path("rooms/odd.jsonl").write_text("{")
    Path("rooms/twice.jsonl").write_text('{"picture": "a.png"}\n' * 2)
    assert why in refused(capsys, "batch", *arguments, "-o", "out", "-m", model)


def test_outputs_never_take_the_place_of_what_is_read(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    drawn("below/b.png")
    for place, out in (("rooms", "rooms"), ("rooms/a.png", "rooms"), ("rooms/below", "rooms/below")):
        assert "choose another folder" in refused(capsys, "batch", place, "x", "-o", out, "-m", model)
    Path("list.jsonl").write_text('{"picture": "rooms/a.png"}')
    assert "choose another folder" in refused(capsys, "batch", "list.jsonl", "x", "-o", ".", "-m", model)


def test_outputs_below_the_folder_are_no_pictures_to_start_from(drawn: Drawn, model: Path, capsys: Captured):
    drawn("a.png")
    for _ in range(2):
        assert run(capsys, "batch", "rooms", "x", "-o", "rooms/out", "-m", model, "-q")[0] == 0
    assert set(outputs("rooms/out")) == {"a.png"}
