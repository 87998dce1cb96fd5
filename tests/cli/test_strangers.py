"""A record is data from a stranger: it says what a picture is, and nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import partway
import toy
from command import Captured, refused, run
from partway.pictures import metadata

Forge = Callable[..., str]


@pytest.fixture
def made(capsys: Captured, model: Path) -> dict[str, Any]:
    """The record of a picture."""
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-o", "made.png")
    return metadata.read_parameters("made.png")


def forged(record: Any, name: str = "forged.png") -> str:
    """A picture with a record that somebody wrote."""
    info = PngInfo()
    info.add_text("partway", record if isinstance(record, str) else json.dumps(record))
    Image.open("room.png").save(name, pnginfo=info)
    return name


def test_a_record_does_not_set_the_machine(capsys: Captured, made: dict[str, Any], tmp_path: Path) -> None:
    for own in ({"cache_dir": str(tmp_path / "x")}, {"threads": 1}, {"memory_limit": "9GB"}, {"stream": True}):
        forged(made | {"load": {**made["load"], "engine": "onnxruntime", **own}})
        assert next(iter(own)) in refused(capsys, "img2img", "room.png", "--from-png", "forged.png")
    assert not (tmp_path / "x").exists()


def test_a_record_fetches_nothing(capsys: Captured, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fetch(*_: Any, **__: Any) -> None:
        raise AssertionError("it would have been fetched")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    forged(made | {"model": {"name": "some-stranger/model"}})
    assert "--model some-stranger/model" in refused(capsys, "img2img", "room.png", "--from-png", "forged.png")


@pytest.mark.parametrize(
    "record",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"settings": ' * 100_000,
        '{"settings": {}, "prompt": "' + "x" * 10_000_000 + '"}',
        '{"settings": {"steps": ' + "9" * 5000 + "}}",
        "[]",
        '"settings"',
        "{}",
        '{"settings": []}',
        '{"settings": {}, "task": ["img2img"]}',
        '{"settings": {}, "task": null}',
    ],
    ids=lambda text: f"{text[:20]}-{len(text)}",
)
def test_records_that_are_deep_long_or_none_are_one_line(capsys: Captured, model: Path, record: str) -> None:
    said = refused(capsys, "img2img", "room.png", "x", "--from-png", forged(record), "-m", model)
    assert len(said) < 1200


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"x" * 100_000: 1}},
        {"settings": {"sampler": "\x1b[2J\n\r\0euler"}},
        {"settings": {"strength": float("nan")}},
        {"settings": {"strength": float("inf")}},
        {"settings": {"steps": 1e300}},
        {"settings": {"seed": 2**64}},
        {"settings": {"schedule": "sigmas " + "1," * 50_000}},
        {"settings": {"crop": [1, 2]}},
        {"settings": {"crop": ["1", "2"]}},
        {"edit": {"then": ["x", None]}},
        {"edit": {"scale": {}}},
        {"model": {"name": ["a"]}},
        {"model": {"name": "a\0b"}},
        {"model": {"name": "~nobody-of-that-name/model"}},
        {"model": {"name": "x" * 100_000}},
        {"model": {"name": "../../../../../../etc/passwd"}},
        {"width": "wide"},
        {"width": 10**9},
        {"height": None},
        {"load": {"engine": "\x1b]0;title\x07"}},
        {"load": {"vae": "/etc/passwd"}},
        {"load": {"revision": "../../x"}, "model": {"name": "some-stranger/model"}},
        {"prompt": ["a"]},
    ],
    ids=lambda change: str(change)[:50].replace("\0", "0"),
)
def test_values_that_cannot_be_are_one_line(capsys: Captured, made: dict[str, Any], change: dict[str, Any]) -> None:
    name = forged(made | change)
    said = refused(capsys, "img2img", "room.png", "--from-png", name)
    assert said.isprintable() is False and said[:-1].isprintable()  # but for the end of the line
    assert len(said) < 1200


def test_what_a_camera_noted_is_no_record(capsys: Captured, model: Path) -> None:
    for number, note in enumerate((b"Nikon\0\2\1", "Canon", 7, (1, 2), 0.5)):
        exif = Image.Exif()
        exif[0x8769] = {0x927C: note}
        Image.open("room.png").save(f"photo-{number}.jpg", exif=exif)
        said = refused(capsys, "img2img", "room.png", "x", "--from-png", f"photo-{number}.jpg", "-m", model)
        assert "no partway settings" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: toy.build(folder, prediction="v_prediction"),
        lambda folder: (folder / "unet/model.onnx").write_bytes((folder / "vae_decoder/model.onnx").read_bytes()),
        lambda folder: (folder / "vae_decoder/model.onnx").write_bytes(
            (folder / "vae_decoder/model.onnx").read_bytes().replace(b"sample", b"elpmas")
        ),
        lambda folder: (folder / "tokenizer/merges.txt").write_text("#version: 0.3\n"),
    ],
    ids=["scheduler", "unet", "vae", "tokenizer"],
)
def test_a_model_that_has_changed_since_is_said(
    capsys: Captured, tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    folder = toy.build(tmp_path / "model")
    run(capsys, "img2img", "room.png", "cat", "-m", folder, "--steps", 2, "-q", "-o", "made.png")
    again = ("img2img", "room.png", "--from-png", "made.png", "-q", "-o", "again.png")
    assert run(capsys, *again) == (0, "again.png  52x40, seed 0\n", "")
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert run(capsys, *again, "-m", moved)[2] == ""
    change(folder)
    assert "the model is not the one that this was made with" in run(capsys, *again)[2]


def test_the_home_folder_is_not_told(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "some.person"
    monkeypatch.setenv("HOME", str(home))
    folder = toy.build(home / "models/mine")
    for name in ("a.png", "a.jpg", "a.webp"):
        assert run(capsys, "img2img", "room.png", "cat", "-m", folder, "--steps", 2, "-q", "-o", name)[0] == 0
        assert b"some.person" not in Path(name).read_bytes().replace(b"\0", b"")
        code, _, err = run(capsys, "img2img", "room.png", "--from-png", name, "-q", "-o", f"again-{name}")
        assert (code, err) == (0, "")
    text = Image.open("a.png").info["parameters"]
    assert ", Model: mine," in text


@pytest.mark.parametrize("command", ["img2img", "txt2img", "sweep"])
def test_a_seed_that_is_drawn_is_written_down(capsys: Captured, model: Path, command: str) -> None:
    source = () if command == "txt2img" else ("room.png",)
    each = ("--save-each", "--strengths", "0.5,1") if command == "sweep" else ("--count", 2)
    flags = ("-m", model, "--steps", 2, "--seed", -1, "--variation-seed", -1, "--variation-strength", 0.5, *each)
    assert run(capsys, command, *source, "cat", *flags, "-q", "-o", "a.png")[0] == 0
    names = ("a-0.5.png", "a-1.png") if command == "sweep" else ("a-0001.png", "a-0002.png")
    first, second = (metadata.read_parameters(name)["settings"] for name in names)
    assert 0 <= first["seed"] < 2**32 and first["variation_seed"] == second["variation_seed"] >= 0
    assert second["seed"] - first["seed"] == (command != "sweep")
    assert f"Seed: {first['seed']}," in Image.open(names[0]).info["parameters"]
    again = command if command == "txt2img" else "img2img"
    assert run(capsys, again, *source, "--from-png", names[1], "-q", "-o", "again.png")[2] == ""
    assert Path("again.png").read_bytes() == Path(names[1]).read_bytes()


def test_one_draw_serves_a_chain(capsys: Captured, model: Path) -> None:
    flags = ("-m", model, "--steps", 2, "--seed", -1, "--then", "dog", "-q")
    assert run(capsys, "img2img", "room.png", "cat", *flags, "-o", "a.png")[0] == 0
    run(capsys, "img2img", "room.png", "--from-png", "a.png", "-q", "-o", "b.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_seed_is_drawn_in_python_too(toy_folder: Path) -> None:
    pipe = partway.load(toy_folder)
    drawn = [pipe.txt2img("cat", steps=1, seed=(-1, -1, 5)).seeds for _ in range(2)]
    assert len({*drawn[0], *drawn[1]}) == 5 and all(one[2] == 5 and min(one) >= 0 for one in drawn)


def test_seeds_beyond_the_last_are_refused_before_the_first_is_made(capsys: Captured, model: Path) -> None:
    said = refused(capsys, "img2img", "room.png", "x", "-m", model, "--seed", 2**64 - 1, "--count", 2, "-o", "a.png")
    assert "out of range" in said
