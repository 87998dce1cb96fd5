"""Making pictures and sheets as a user does, on a toy model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import partway
from command import Captured, files, pixels, refused, run
from partway.model import sizes
from partway.pictures import metadata


def test_img2img_gives_what_the_library_gives(capsys: Captured, model: Path, desk: Path) -> None:
    code, out, err = run(
        capsys, "img2img", "room.png", "a cat", "-m", model, "--strength", 0.45, "--steps", 8, "--seed", 5
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "room-partway-0001.png  52x40, seed 5"
    assert "strength 0.45: 4 of 8 steps of plms (leading sigma_min)" in out
    pipe = partway.load(model)
    expected = pipe.img2img("room.png", "a cat", strength=0.45, steps=8, seed=5).image
    np.testing.assert_array_equal(pixels("room-partway-0001.png"), np.asarray(expected))
    assert files(desk) == {"room.png", "room-partway-0001.png"}


def test_every_setting_reaches_the_run_and_the_record(capsys: Captured, model: Path) -> None:
    given = {
        "strength": 0.7,
        "steps": 6,
        "guidance_scale": 3.5,
        "guidance_rescale": 0.25,
        "guidance_zero_star": True,
        "guidance_mimic": 2.5,
        "negative_prompt": "dog",
        "prompt_syntax": "comfyui",
        "guidance_min_sigma": 0.2,
        "guidance_max_sigma": 9.0,
        "seed": 2**40,
        "variation_seed": 3,
        "variation_strength": 0.1,
        "sampler": "ddim",
        "schedule": "karras",
        "dial": "comfyui",
        "eta": 0.5,
        "rng": "torch-cuda",
        "colour_match": 0.5,
        "tile": 32,
        "tile_overlap": 8,
        "reuse": 0.1,
        "vae_tile": 32,
    }
    others = {name: None for name in (*sizes.BASE, *sizes.REFINER, "denoising_start", "denoising_end", "deadline")}
    others |= {"prompt_2": None, "negative_prompt_2": None, "clip_skip": 0}
    others |= {
        "image_guidance_scale": 1.5,
        "vae": "own",
        "loras": [],
        "control": [],
        "ip_adapter": None,
        "embeddings": [],
    }  # for instruct alone; the toy has no tiny one
    assert given.keys() | others.keys() == set(partway.Options.__annotations__)  # the toy is told no sizes
    flags = [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), value)]
    flags.remove(True)  # a switch has no value
    assert run(capsys, "img2img", "room.png", "a cat", "-m", model, "-o", "out.png", *flags)[0] == 0
    assert metadata.read_parameters("out.png")["settings"] == given | others
    expected = partway.load(model).img2img("room.png", "a cat", **given).image
    np.testing.assert_array_equal(pixels("out.png"), np.asarray(expected))


def test_load_options_reach_the_engine(capsys: Captured, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    load = partway.load
    monkeypatch.setattr(partway, "load", lambda name, **options: (seen.update(options), load(model))[1])
    flags = [
        "--engine",
        "onnxruntime",
        "--device",
        "CPU",
        "--threads",
        "1",
        "--precision",
        "fp32",
        "--cache-dir",
        "c",
        "--static",
        "--batch",
        "1",
    ]
    assert run(capsys, "txt2img", "a cat", "-m", "any", "--steps", 2, *flags)[0] == 0
    assert seen == {
        "engine": "onnxruntime",
        "device": "CPU",
        "threads": 1,
        "precision": "fp32",
        "cache_dir": "c",
        "static": True,
        "batch": 1,
    }
    recorded = metadata.read_parameters("partway-0001.png")["load"]
    assert recorded == {name: value for name, value in seen.items() if name not in ("threads", "cache_dir")}


def test_txt2img_makes_the_size_asked_for(capsys: Captured, model: Path) -> None:
    code, out, _ = run(
        capsys, "txt2img", "a cat", "-m", model, "--steps", 2, "--width", 72, "--height", 50, "-o", "cat.webp"
    )
    assert code == 0
    assert out.startswith("cat.webp  72x50, seed 0")
    with Image.open("cat.webp") as image:
        assert (image.format, image.size) == ("WEBP", (72, 50))


def test_count_makes_one_picture_a_seed_equal_to_single_runs(capsys: Captured, model: Path, desk: Path) -> None:
    base = ("img2img", "room.png", "a cat", "-m", model, "--steps", 2, "-q")
    code, out, _ = run(capsys, *base, "--seed", 7, "--count", 3, "-o", "many.png")
    assert code == 0
    names = [f"many-000{i}.png" for i in (1, 2, 3)]
    assert out.splitlines() == [f"{name}  52x40, seed {seed}" for name, seed in zip(names, (7, 8, 9), strict=True)]
    for name, seed in zip(names, (7, 8, 9), strict=True):
        run(capsys, *base, "--seed", seed, "-o", "single.png")
        np.testing.assert_array_equal(pixels(name), pixels("single.png"))
        assert metadata.read_parameters(name)["settings"]["seed"] == seed


def test_names_chosen_here_never_overwrite(capsys: Captured, model: Path, desk: Path) -> None:
    (desk / "room-partway-0001.png").write_bytes(b"mine")
    run(capsys, "img2img", "room.png", "a cat", "-m", model, "--steps", 2, "--count", 2)
    assert (desk / "room-partway-0001.png").read_bytes() == b"mine"
    assert {"room-partway-0002.png", "room-partway-0003.png"} <= files(desk)


def test_strength_0_returns_the_input_pixel_for_pixel(capsys: Captured, model: Path) -> None:
    Image.fromarray(np.arange(52 * 40, dtype=np.uint16).reshape(40, 52) * 31).save("deep.png")
    code, out, _ = run(capsys, "img2img", "deep.png", "a cat", "-m", model, "--strength", 0, "-o", "out.png")
    assert code == 0
    assert "nothing to run" in out
    np.testing.assert_array_equal(pixels("out.png"), pixels("deep.png"))


def test_quiet_says_only_where_the_picture_is(capsys: Captured, model: Path) -> None:
    code, out, err = run(capsys, "img2img", "room.png", "a", "-m", model, "--steps", 2, "--quiet", "-o", "x.png")
    assert (code, out, err) == (0, "x.png  52x40, seed 0\n", "")


def test_a_prompt_that_is_too_long_is_named(capsys: Captured, model: Path) -> None:
    prompt = "x " * 100 + "lost"
    code, _, err = run(capsys, "img2img", "room.png", prompt, "-m", model, "--steps", 2)
    assert code == 0
    assert err.count("\n") == 1
    assert "lost" in err


def test_sweep_lays_out_every_strength(capsys: Captured, model: Path, desk: Path) -> None:
    code, out, err = run(
        capsys, "sweep", "room.png", "a cat", "-m", model, "--steps", 4, "--strengths", "0,0.5,1", "-o", "s.png"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("s.png  ")
    assert "3 strengths" in out
    assert [line.split(":")[0] for line in out.splitlines()[:-1]] == ["strength 0", "strength 0.5", "strength 1"]
    assert files(desk) == {"room.png", "s.png"}
    with Image.open("s.png") as sheet:
        assert sheet.width > 4 * 224
        assert json.loads(sheet.info["partway"])["strengths"] == [0, 0.5, 1]


def test_sweep_saves_each_as_img2img_would(capsys: Captured, model: Path, desk: Path) -> None:
    base = ("-m", model, "--steps", 4, "--seed", 3, "-q")
    run(capsys, "sweep", "room.png", "a cat", *base, "--strengths", "0.25,1", "--save-each", "-o", "s.png")
    assert files(desk) == {"room.png", "s.png", "s-0.25.png", "s-1.png"}
    for strength in ("0.25", "1"):
        run(capsys, "img2img", "room.png", "a cat", *base, "--strength", strength, "-o", "one.png")
        assert Path("one.png").read_bytes() == Path(f"s-{strength}.png").read_bytes()


def test_sweep_never_writes_over_its_input(capsys: Captured, model: Path) -> None:
    Path("room.png").rename("s-0.5.png")
    flags = ("-m", model, "--strengths", "0.5,1", "--save-each", "-o", "s.png")
    assert "is the input itself" in refused(capsys, "sweep", "s-0.5.png", "a cat", *flags)
