"""Models that follow instructions, and models that take the guidance scale: plans, errors, command line, replay."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway import cli
from partway.diffusion.guidance import guided, instructed, rescaled
from partway.pictures import metadata


@pytest.fixture(scope="module")
def instruct_folder(tmp_path_factory):
    return toy.build(tmp_path_factory.mktemp("instruct"), instruct=True)


@pytest.fixture(scope="module")
def pix(instruct_folder):
    return partway.load(instruct_folder)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    return partway.load(toy.build(tmp_path_factory.mktemp("embedded"), guidance_width=6))


def made(result):
    return np.asarray(result.image, float)


def test_it_makes_a_picture_of_the_same_size_and_runs_as_planned(pix, picture):
    result = pix.instruct(picture, "make it snowy", steps=6, seed=[1, 2], sampler="ddim")
    assert [image.size for image in result.images] == [picture.size] * 2
    plan = result.plan
    assert (plan.steps_run, plan.network_calls, plan.guided_calls, plan.predictions) == (6, 6, 6, 3)
    assert plan.calls == {"text_encoder": 2, "vae_encoder": 1, "unet": 6, "vae_decoder": 1}
    assert plan.noise_share == 1 and plan.reads_image and plan.strength == 1
    assert "6 of them guidance triples" in str(plan)
    width, height = picture.size
    assert pix.plan(steps=6, seed=[1, 2], sampler="ddim", width=width, height=height) == plan


def test_strength_has_no_part_in_it(pix, picture):
    whole, none = (pix.instruct(picture, "snow", steps=4, strength=s, dial="a1111") for s in (1, 0))
    assert whole.image.tobytes() == none.image.tobytes()


def test_a_scale_of_one_is_a_single_prediction(pix, picture):
    plan = pix.plan(steps=4, guidance_scale=1, sampler="ddim")
    assert (plan.network_calls, plan.guided_calls, plan.calls["text_encoder"]) == (4, 0, 1)
    plain = made(pix.instruct(picture, "snow", steps=4, guidance_scale=1))
    assert np.abs(plain - made(pix.instruct(picture, "snow", steps=4, guidance_scale=1.0001))).max() > 1
    almost = made(pix.instruct(picture, "snow", steps=4, guidance_scale=1.0001, image_guidance_scale=1))
    assert np.abs(plain - almost).max() <= 1  # both scales at 1 are the third prediction itself


def test_guidance_in_an_interval(pix, picture):
    run = pix.stream("snow", picture, instruct=True, steps=8, sampler="ddim", guidance_max_sigma=3.0)
    run.result()
    assert 0 < run.plan.guided_calls < run.plan.network_calls == 8


@pytest.mark.parametrize("batch", [1, 2])
def test_smaller_batches_change_nothing(pix, instruct_folder, picture, batch):
    small = partway.load(instruct_folder, batch=batch)
    seeds = {"steps": 4, "seed": (1, 2)}
    for one, other in zip(
        small.instruct(picture, "snow", **seeds).images, pix.instruct(picture, "snow", **seeds).images, strict=True
    ):
        assert np.abs(np.asarray(one, float) - np.asarray(other, float)).max() <= 1


def test_tiles(pix, picture):
    large = picture.resize((96, 64))
    tiled = pix.instruct(large, "snow", steps=3, tile=32)
    assert tiled.image.size == (96, 64) and tiled.plan.network_calls > 3


def test_other_tasks_say_to_instruct(pix, picture):
    mask = Image.new("L", picture.size, 255)
    runs = [
        lambda: pix.img2img(picture, "snow"),
        lambda: pix.txt2img("snow"),
        lambda: pix.inpaint(picture, mask, "snow"),
        lambda: pix.outpaint(picture, "snow", left=8),
        lambda: pix.upscale(picture),
    ]
    for run in runs:
        with pytest.raises(partway.InputError, match="follows instructions"):
            run()


def test_other_models_say_that_they_do_not(pipe, picture):
    with pytest.raises(partway.InputError, match="does not follow instructions; use img2img"):
        pipe.instruct(picture, "make it snowy")


def test_an_instruction_needs_a_picture(pix):
    with pytest.raises(partway.InputError, match="needs a picture"):
        pix.stream("snow", instruct=True)


@pytest.mark.parametrize("value", [-1, 1001, float("nan"), "x", True])
def test_image_guidance_scale_out_of_range(value):
    with pytest.raises(partway.InputError, match="image_guidance_scale must be between"):
        partway.Settings(image_guidance_scale=value)


def test_command_line_and_replay(instruct_folder, picture, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture.save("in.png")
    arguments = ["in.png", "make it snowy", "-m", str(instruct_folder), "--steps", "4", "--image-guidance-scale", "2.5"]
    assert cli.main(["instruct", *arguments, "-o", "out.png"]) == 0
    out = capsys.readouterr().out
    assert "4 of 4 steps" in out and "strength" not in out
    record = metadata.read_parameters("out.png")
    assert (record["task"], record["settings"]["image_guidance_scale"]) == ("instruct", 2.5)
    text = Image.open("out.png").text["parameters"]
    assert "Image CFG scale: 2.5" in text and "Denoising" not in text
    assert cli.main(["instruct", "in.png", "--from-png", "out.png", "-o", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()
    assert cli.main(["img2img", "in.png", "x", "-m", str(instruct_folder)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_network_with_guidance_inside(embedded, picture):
    plan = embedded.plan(steps=4, strength=1, sampler="ddim")
    assert (plan.network_calls, plan.guided_calls, plan.calls["text_encoder"]) == (4, 0, 1)
    first = embedded.txt2img("a room", steps=4, seed=[3, 4])
    assert first.image.tobytes() == embedded.txt2img("a room", steps=4, seed=3, negative_prompt="x").image.tobytes()
    assert first.image.tobytes() != embedded.txt2img("a room", steps=4, seed=3, guidance_scale=2).image.tobytes()
    assert embedded.img2img(picture, "a room", strength=0.5).image.size == picture.size


def test_a_config_that_does_not_say_what_the_network_takes(tmp_path, embedded):
    folder = toy.build(tmp_path / "toy", guidance_width=6)
    config = folder / "unet/config.json"
    config.write_text(config.read_text().replace("time_cond_proj_dim", "other"))
    with pytest.raises(partway.NetworkError, match="differ on whether it takes the guidance scale"):
        partway.load(folder).txt2img("a room", steps=1)


def test_formulas():
    a, b, c = np.random.default_rng(0).normal(size=(3, 2, 4, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(instructed(a, b, c, 1.0, 1.0), c, atol=1e-6)
    np.testing.assert_allclose(instructed(b, b, c, 3.0, 9.0), guided(b, c, 3.0), atol=1e-5)
    np.testing.assert_allclose(rescaled(3 * c, c, 1.0), c, rtol=1e-5)
