"""Unknown keyword arguments are answered with what was meant."""

import copy
import inspect
import pickle
from dataclasses import replace

import pytest

import partway
from partway import EngineOptions, InputError, Settings
from partway.diffusion.names import SETTING_ALIASES
from partway.pipeline import Pipeline


@pytest.mark.parametrize(
    ("call", "wrong", "meant"),
    [
        (Settings, "num_inference_steps", "steps"),
        (Settings, "num_inference_step", "steps"),
        (Settings, "cfg_scale", "guidance_scale"),
        (Settings, "denoising_strength", "strength"),
        (Settings, "strenght", "strength"),
        (EngineOptions, "theads", "threads"),
        (partway.load, "modle", "model"),
        (partway.load, "memory_limt", "memory_limit"),
        (partway.plan, "widht", "width"),
        (partway.plan, "num_inference_steps", "steps"),
        (lambda **given: partway.match("comfyui", 0.5, **given), "sampling_steps", "steps"),
    ],
)
def test_what_was_meant_is_named(call, wrong, meant):
    with pytest.raises(InputError, match=rf"unknown \w+ '{wrong}'; did you mean {meant}\?$"):
        call(**{wrong: 3})


@pytest.mark.parametrize(
    ("task", "wrong", "meant"),
    [
        ("img2img", "num_inference_steps", "steps"),
        ("img2img", "init_image", "image"),
        ("inpaint", "only_maked", "only_masked"),
        ("inpaint", "mask_image", "mask"),
        ("outpaint", "rigth", "right"),
        ("upscale", "upscale_by", "scale"),
        ("stream_upscale", "scle", "scale"),
        ("txt2img", "heigth", "height"),
        ("instruct", "image_cfg_scale", "image_guidance_scale"),
        ("stream", "decod", "decode"),
        ("plan", "imag", "image"),
    ],
)
def test_every_task_knows_its_own(pipe, task, wrong, meant):
    with pytest.raises(InputError, match=rf"unknown argument '{wrong}'; did you mean {meant}\?$"):
        getattr(pipe, task)(**{wrong: 3})


def test_what_is_like_nothing_gets_the_list():
    with pytest.raises(InputError, match=r"unknown setting 'zzzzzz'; choose one of: aesthetic_score, .*, vae_tile"):
        Settings(zzzzzz=1)


def test_an_alias_is_no_name_of_ours_and_leads_to_one():
    known = set(Settings.__dataclass_fields__)
    for task in ("img2img", "inpaint", "upscale"):
        known |= set(inspect.signature(getattr(Pipeline, task)).parameters)
    assert set(SETTING_ALIASES.values()) <= known
    assert not set(SETTING_ALIASES) & known


def test_signatures_and_records_stay_what_they_were():
    assert list(inspect.signature(Pipeline.img2img).parameters) == ["self", "image", "prompt", "decode", "settings"]
    assert inspect.signature(partway.load).parameters["revision"].default is None
    assert "Open a model" in str(partway.load.__doc__)
    settings = Settings(steps=3)
    assert replace(settings, steps=4).steps == 4
    assert copy.deepcopy(settings) == pickle.loads(pickle.dumps(settings)) == settings
