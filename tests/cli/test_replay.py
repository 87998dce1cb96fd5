"""A picture's record, made again."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from command import Captured, refused, run
from partway.pictures import metadata


def test_a_replay_is_exact(capsys: Captured, model: Path) -> None:
    flags = ["--sampler", "euler_a", "--strength", 0.37, "--steps", 7, "--seed", 2**63, "--negative-prompt", "a,\nb"]
    run(capsys, "img2img", "room.png", 'a: "cat"', "-m", model, "-o", "first.png", *flags)
    code, _, err = run(capsys, "img2img", "--from-png", "first.png", "room.png", "-o", "again.png")
    assert (code, err) == (0, "")
    assert Path("again.png").read_bytes() == Path("first.png").read_bytes()


def test_a_replay_keeps_sampler_and_size_and_lets_flags_win(capsys: Captured, model: Path) -> None:
    run(capsys, "txt2img", "cat", "-m", model, "--steps", 2, "--width", 72, "--height", 40, "-o", "a.jpg")
    run(capsys, "txt2img", "--from-png", "a.jpg", "--seed", 9, "-o", "b.png")
    first, second = (metadata.read_parameters(name) for name in ("a.jpg", "b.png"))
    assert first["settings"]["sampler"] == "plms"
    assert second["settings"] == first["settings"] | {"seed": 9}
    assert (second["width"], second["height"], second["prompt"]) == (72, 40, "cat")


def test_a_replay_on_another_picture_warns_in_one_line(capsys: Captured, model: Path) -> None:
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-o", "first.png")
    Image.open("room.png").save("same.bmp")
    Image.open("room.png").rotate(180).save("other.png")
    replay = ("img2img", "--from-png", "first.png", "-o", "again.png")
    assert run(capsys, *replay, "same.bmp")[2] == ""
    code, _, err = run(capsys, *replay, "other.png")
    assert code == 0
    assert err == "partway: warning: the input is not the picture that this was made from\n"


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"strength": "high"}},
        {"settings": {"seed": None}},
        {"settings": {"negative_prompt": 3}},
        {"settings": {"steps": [1]}},
        {"settings": {"unheard_of": 1}},
        {"edit": {"then": "b"}},
        {"edit": {"then": [3]}},
        {"load": {"device": 3}},
        {"load": {"threads": 1.5}},
        {"load": {"batch": "2"}},
        {"load": {"__class__": 3}},
        {"prompt": 3},
        {"model": {}},
        {"model": []},
        {"task": "txt2img"},
    ],
)
def test_damaged_records_are_one_line(capsys: Captured, model: Path, change: dict[str, Any]) -> None:
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-o", "first.png")
    record = metadata.read_parameters("first.png") | change
    info = PngInfo()
    info.add_text("partway", json.dumps(record))
    Image.open("room.png").save("bad.png", pnginfo=info)
    refused(capsys, "img2img", "room.png", "--from-png", "bad.png")
