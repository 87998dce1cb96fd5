"""The edges of the system: no home, names that collide, prompts of any letters, addresses."""

import pwd
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import partway
from command import Captured, refused, run
from partway.budget import tuned
from partway.support.files import cache_folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without an entry, and no variables, as a container may have."""
    for name in ("HOME", "XDG_CACHE_HOME", "PARTWAY_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_everything_runs_and_nothing_is_kept(capsys: Captured, model: Path, desk: Path) -> None:
    assert cache_folder() is None
    run_ = ("img2img", "room.png", "x", "--model", model, "--steps", 2, "-q", "-o", "out.png")
    for command in (
        run_,
        ("plan", "--model", model),
        ("info", model),
        ("img2img", "room.png", "--from-png", "out.png"),
    ):
        code, _, err = run(capsys, *command)
        assert (code, err) == (0, "")
    assert not Path("~").exists()
    assert "PARTWAY_CACHE" in refused(capsys, "tune", model)
    assert "no-such-user-here/model" in refused(capsys, "info", "~no-such-user-here/model")


def test_a_cache_folder_that_cannot_be_read_is_as_none(
    capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root's home is for others: HOME=/root, and another user."""

    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(tuned, "_folder", lambda: type("Closed", (type(Path()),), {"is_dir": closed})("/root"))
    assert run(capsys, "plan", "--model", model)[0] == 0


@pytest.mark.parametrize("file", [True, False])
def test_something_called_like_a_model_is_no_model(capsys: Captured, desk: Path, file: bool) -> None:
    if file:
        Path("rooms").write_text("a list of rooms")
    else:
        Path("rooms").mkdir()
        Image.open("room.png").save("rooms/kitchen.png")
    for flags in ((), ("--model", "rooms")):
        code, _, err = run(capsys, "txt2img", "cozy", *flags, "--steps", 1, "-q", "-o", "a.png")
        assert (code, err) == (0, "")
    assert run(capsys, "txt2img", "--from-png", "a.png", "-q", "-o", "b.png")[::2] == (0, "")
    assert run(capsys, "info", "rooms")[0] == 0
    assert partway.load("rooms").package.root == partway.load().package.root != Path("rooms")


def test_a_model_of_ones_own_called_rooms_is_taken_where_it_is_asked_for(
    capsys: Captured, model: Path, desk: Path
) -> None:
    Path("rooms").symlink_to(model)
    assert partway.load("rooms").package.root == Path("rooms")
    assert partway.load().package.root != Path("rooms")


@pytest.mark.parametrize(
    "words",
    [
        ("room", "--negative-prompt", "-blurry"),
        ("room", "--negative-prompt", "--blurry"),
        ("room", "--negative-prompt", "-m"[:1]),
        ("room", "--then", "-again"),
        ("-2.5",),
        ("- a list",),
        ("--a list of words",),
        ("--", "-ugly"),
        ("--", "--ugly"),
        ("-",),
        ("",),
    ],
)
def test_prompts_that_begin_with_a_dash_run(capsys: Captured, model: Path, words: tuple[str, ...]) -> None:
    code, _, err = run(capsys, "img2img", "room.png", "-m", model, "--steps", 2, "-q", "-o", "out.png", *words)
    assert (code, err) == (0, "")


@pytest.mark.parametrize("command", ["img2img", "sweep", "instruct", "outpaint"])
def test_or_it_is_said_how(capsys: Captured, model: Path, command: str) -> None:
    assert "-- -ugly" in refused(capsys, command, "room.png", "-ugly", "-m", model)


def test_a_flag_is_not_taken_for_a_text(capsys: Captured, model: Path) -> None:
    for flags in (("--negative-prompt", "--steps", "3"), ("--negative-prompt",), ("--steps",), ("--steps", "-x")):
        said = refused(capsys, "img2img", "room.png", "x", "-m", model, *flags)
        assert f"{flags[0]}: expected one argument" in said


@pytest.mark.parametrize(
    "letter",
    ["a", "a ", "!", *(pytest.param(one, marks=pytest.mark.thorough) for one in "猫\N{GRINNING FACE}1\u0301"), "</w>"],
)
def test_a_prompt_of_100_000_letters_is_cut_and_told_in_one_line(capsys: Captured, model: Path, letter: str) -> None:
    prompt = letter * (100_000 // len(letter))
    code, _, err = run(capsys, "img2img", "room.png", prompt, "-m", model, "--steps", 2, "-q", "-o", "out.png")
    assert code == 0
    assert err.startswith("partway: warning: the prompt is too long") or not err
    assert err.count("\n") <= 1 and len(err) < 400
    assert run(capsys, "img2img", "room.png", "--from-png", "out.png", "-q", "-o", "again.png")[0] == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/a.png",
        "HTTP://x/y",
        "file:///tmp/a.png",
        "s3://x/a.png",
        "data:image/png;base64," + "A" * 5000,
    ],
)
def test_an_address_is_said_to_be_one(capsys: Captured, model: Path, address: str) -> None:
    for command in (
        ("img2img", address, "x"),
        ("inpaint", "room.png", address, "x"),
        ("img2img", "room.png", "x", "--from-png", address),
    ):
        said = refused(capsys, *command, "-m", model)
        assert "is an address" in said and len(said) < 1200


def test_comparing_dials_leaves_out_those_that_cannot(capsys: Captured) -> None:
    code, out, _ = run(capsys, "plan", "--compare", "--schedule", "sigmas 14.6,5,2", "--strength", 0.5)
    rows = {line.split()[0]: line for line in out.splitlines()[2:]}
    assert code == 0 and set(rows) == set(partway.DIALS)
    assert "steps" in rows["comfyui"] and rows["diffusers"].endswith("%")
    refused(capsys, "plan", "--compare", "--schedule", "sigmas 14.6,5,2", "--denoising-end", 0.5)


LONG = "a cat " * 60


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"prompt", "negative_prompt"}),
        ({"guidance_scale": 1}, {"prompt"}),
        ({"strength": 0}, set()),
    ],
)
def test_a_cut_prompt_is_told_in_python_too(toy_folder: Path, settings: dict[str, Any], names: set[str]) -> None:
    pipe, image = partway.load(toy_folder), Image.new("RGB", (16, 16))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = pipe.img2img(image, LONG, negative_prompt=LONG, steps=2, **settings)
    assert [one.category for one in caught] == [partway.PartwayWarning] * len(names)
    assert all(one.filename == __file__ for one in caught)
    assert set(result.plan.unread) == names == set(result.plan.as_dict()["unread"])
    assert all(text and LONG.replace(" ", "").endswith(text.replace(" ", "")) for text in result.plan.unread.values())
    assert str(result.plan).count("\nnot read: ") == len(names)
    planned = pipe.plan(image=image, prompt=LONG, negative_prompt=LONG, steps=2, **settings)
    assert planned == result.plan


def test_a_prompt_that_fits_is_not_told_of(toy_folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert partway.load(toy_folder).txt2img("a cat", steps=1).plan.unread == {}


def test_a_reader_may_raise_anything(capsys: Captured, model: Path) -> None:
    Image.open("room.png").convert("RGBA").save("a.dds")
    data = bytearray(Path("a.dds").read_bytes())
    data[80:84] = bytes(4)  # what its pixels are
    Path("a.dds").write_bytes(data)
    assert "a.dds" in refused(capsys, "img2img", "a.dds", "x", "-m", model)


@pytest.mark.parametrize("command", [("img2img", "a.tif"), ("img2img", "room.png", "--from-png", "a.tif")])
def test_what_a_library_in_c_says_of_a_damaged_picture_is_not_heard(
    capfd: Captured, model: Path, command: tuple[str, ...]
) -> None:
    Image.open("room.png").save("a.tif", compression="tiff_adobe_deflate")
    with Image.open("a.tif") as image:
        strip = image.tag_v2[273][0]
    data = bytearray(Path("a.tif").read_bytes())
    data[strip : strip + 40] = b"\xff" * 40
    Path("a.tif").write_bytes(data)
    assert "a.tif" in refused(capfd, *command, "x", "-m", model)
