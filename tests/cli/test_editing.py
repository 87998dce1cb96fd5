"""Inpainting and outpainting as a user runs them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from command import pixels
from partway.cli import main
from partway.pictures import metadata


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(toy.build(tmp_path_factory.mktemp("toy")))


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with room.png, and mask.png, white on the right half."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:40, :52]
    Image.fromarray(np.stack([4 * x, 6 * y, 2 * (x + y)], axis=2).astype(np.uint8)).save("room.png")
    mask = np.zeros((40, 52), np.uint8)
    mask[:, 26:] = 255
    Image.fromarray(mask).save("mask.png")
    return tmp_path


def test_a_chain_of_prompts_and_its_replay(model: str) -> None:
    chosen = ["--strength", "0.5", "--steps", "6", "--seed", "3", "-m", model, "-q"]
    assert main(["img2img", "room.png", "a", "--then", "b", "--then", "c", *chosen, "-o", "out.png"]) == 0
    pipe = partway.load(model)
    result: partway.Result | str = "room.png"
    for prompt in "abc":
        result = pipe.img2img(result, prompt, strength=0.5, steps=6, seed=3)
    assert (pixels("out.png") == np.asarray(result.image)).all()
    assert metadata.read_parameters(Path("out.png"))["edit"] == {"then": ["b", "c"]}
    assert main(["img2img", "room.png", "--from-png", "out.png", "-o", "again.png", "-q"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_inpaint_and_its_replay(model: str) -> None:
    arguments = ["inpaint", "room.png", "mask.png"]
    chosen = [
        "a cat",
        "-m",
        model,
        "--strength",
        "0.7",
        "--steps",
        "6",
        "--only-masked",
        "--padding",
        "4",
        "--seed",
        "3",
    ]
    assert main([*arguments, *chosen, "-o", "out.png", "-q"]) == 0
    assert (pixels("out.png")[:, :26] == pixels("room.png")[:, :26]).all()
    assert (pixels("out.png")[:, 26:] != pixels("room.png")[:, 26:]).any()
    made = metadata.read_parameters(Path("out.png"))
    assert made["task"] == "inpaint" and made["edit"] == {"only_masked": True, "padding": 4}
    assert main([*arguments, "--from-png", "out.png", "-o", "again.png", "-q"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_outpaint_and_its_replay(model: str) -> None:
    arguments = ["outpaint", "room.png"]
    chosen = ["a cat", "-m", model, "--steps", "4", "--right", "9", "--feather", "0"]
    assert main([*arguments, *chosen, "-o", "out.png", "-q"]) == 0
    assert pixels("out.png").shape == (40, 61, 3)
    assert (pixels("out.png")[:, :52] == pixels("room.png")).all()
    assert main([*arguments, "--from-png", "out.png", "-o", "again.png", "-q"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inpaint", "room.png", "missing.png", "cat"], "no such picture"),
        (["inpaint", "room.png", "small.png", "cat"], "same size"),
        (["inpaint", "room.png", "black.png", "cat"], "all black"),
        (["inpaint", "room.png", "mask.png", "cat", "--mask-blur", "-2"], "mask_blur"),
        (["outpaint", "room.png", "cat"], "nothing to add"),
        (["outpaint", "room.png", "cat", "--left", "-4"], "margins"),
        (["img2img", "room.png", "--from-png", "inpainted.png"], "partway inpaint"),
    ],
)
def test_mistakes_are_one_line(
    model: str, desk: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    Image.new("L", (8, 8), 255).save("small.png")
    Image.new("L", (52, 40), 0).save("black.png")
    main(["inpaint", "room.png", "mask.png", "cat", "-m", model, "--steps", "1", "-o", "inpainted.png", "-q"])
    capsys.readouterr()
    there = {path.name for path in desk.iterdir()}
    assert main([*arguments, "-m", model, "-o", "out.png"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert {path.name for path in desk.iterdir()} == there
