"""A `scheduler_config.json` without diffusers: what is refused, and how what it says is named and made again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway import InputError, PackageError
from partway.diffusion import names
from partway.diffusion.levels import trained
from partway.diffusion.samplers.named import method_of
from partway.diffusion.written import spacing_of

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def model(folder: Path, **config: Any) -> Path:
    """The toy model with another scheduler; a value of ... leaves a key out."""
    toy.build(folder)
    file = folder / "scheduler/scheduler_config.json"
    content = {**json.loads(file.read_text()), **config}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    return folder


REFUSED = [
    ({"_class_name": "EDMEulerScheduler", "sigma_min": 0.002}, "EDMEulerScheduler"),
    ({"_class_name": "EDMDPMSolverMultistepScheduler"}, "EDMDPMSolverMultistepScheduler"),
    ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "flow-matching"),
    ({"_class_name": "CMStochasticIterativeScheduler", "num_train_timesteps": 40}, "consistency"),
    ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, "use_flow_sigmas true"),
    ({"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"}, 'timestep_type "continuous"'),
    ({"_class_name": "EulerDiscreteScheduler", "interpolation_type": "log_linear"}, "interpolation_type"),
    ({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True, "sigma_max": 9.0}, "sigma_max 9.0"),
    ({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True, "use_beta_sigmas": True}, "only one"),
    ({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "random"}, 'timestep_spacing "random"'),
    ({"_class_name": "DDIMScheduler", "thresholding": True}, "thresholding true"),
    ({"_class_name": "DDPMScheduler", "variance_type": "fixed_large"}, "variance_type"),
    ({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}, "algorithm_type"),
    ({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 4}, "solver_order 4"),
    ({"_class_name": "DPMSolverSinglestepScheduler", "solver_order": 3}, "solver_order 3"),
    ({"_class_name": "UniPCMultistepScheduler", "predict_x0": False}, "predict_x0 false"),
    ({"_class_name": "LCMScheduler", "original_inference_steps": 100}, "original_inference_steps 100"),
    ({"_class_name": "MyScheduler"}, "MyScheduler"),
]


@pytest.mark.parametrize(("config", "told"), REFUSED)
def test_what_does_not_run_is_refused_in_one_line_that_names_it(tmp_path: Path, config: Any, told: str) -> None:
    with pytest.raises(PackageError) as refused:
        partway.plan(model(tmp_path / "toy", **config))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "begun"),
    [
        ("DDIMScheduler", 951),
        ("DDPMScheduler", 951),
        ("PNDMScheduler", 951),
        ("LCMScheduler", 999),
        ("EulerDiscreteScheduler", 999),
        ("EulerAncestralDiscreteScheduler", 999),
        ("LMSDiscreteScheduler", 999),
        ("HeunDiscreteScheduler", 999),
        ("KDPM2DiscreteScheduler", 999),
        ("DPMSolverMultistepScheduler", 999),
        ("UniPCMultistepScheduler", 999),
        ("DEISMultistepScheduler", 999),
    ],
)
def test_a_missing_spacing_is_the_class_s_own(tmp_path: Path, name: str, begun: int) -> None:
    folder = model(tmp_path / "toy", _class_name=name, timestep_spacing=...)
    assert round(partway.plan(folder, steps=20, strength=1).start_timestep) == begun


def test_a_config_without_a_class_has_that_of_the_index(tmp_path: Path) -> None:
    folder = model(tmp_path / "toy", _class_name=...)
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "scheduler": ["diffusers", "HeunDiscreteScheduler"]}))
    assert partway.plan(folder).sampler == "heun"


def test_sample_size_may_be_height_and_width(tmp_path: Path) -> None:
    folder = model(tmp_path / "toy")
    unet = folder / "unet/config.json"
    unet.write_text(json.dumps({**json.loads(unet.read_text()), "sample_size": [8, 16]}))
    assert partway.load(folder).txt2img("a", steps=1).image.size == (128, 64)


KARRAS = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "use_karras_sigmas": True}
OWN = [
    (KARRAS, "euler", "leading karras"),
    ({"_class_name": "DDIMScheduler", "clip_sample": True, "steps_offset": 0}, "ddim", "leading"),
    ({"_class_name": "DDIMScheduler", "clip_sample": False, "set_alpha_to_one": False}, "ddim", "leading sigma_min"),
    ({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3}, None, "linspace_dpm"),
    ({"_class_name": "DPMSolverSinglestepScheduler"}, None, "linspace_dpm"),
    ({"_class_name": "UniPCMultistepScheduler", "solver_order": 3, "use_beta_sigmas": True}, None, "beta floored"),
    ({"_class_name": "DEISMultistepScheduler"}, "deis order=2 final=short", "linspace_dpm sigma_min"),
    ({"_class_name": "TCDScheduler"}, "tcd eta=0.0", "lcm sigma_min"),
]


@pytest.mark.parametrize(("config", "sampler", "schedule"), OWN)
def test_a_plan_names_what_makes_the_same_picture_again(
    tmp_path: Path, config: Any, sampler: str | None, schedule: str
) -> None:
    pipe = partway.load(model(tmp_path / "toy", **config))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    made = pipe.img2img(picture, "a", steps=6, strength=0.7)
    assert made.plan.schedule == schedule
    assert sampler in (None, made.plan.sampler)
    named = {"sampler": made.plan.sampler, "schedule": made.plan.schedule}
    again = pipe.img2img(picture, "a", steps=6, strength=0.7, **named)
    assert again.plan == made.plan
    assert again.image.tobytes() == made.image.tobytes()


def test_a_sampler_or_schedule_that_the_user_names_wins(tmp_path: Path) -> None:
    folder = model(tmp_path / "toy", **KARRAS)
    plan = partway.plan(folder, sampler="heun")
    assert (plan.sampler, plan.schedule) == ("heun", "karras")
    plan = partway.plan(folder, schedule="trailing")
    assert (plan.sampler, plan.schedule) == ("euler", "trailing")


@pytest.mark.parametrize("text", ["leading karras", "karras rounded", "linspace rounded sigma_min", "lcm sigma_min"])
def test_schedules_in_words_have_their_steps_at_every_count(text: str) -> None:
    spacing = spacing_of(text)
    assert names.schedule(f" {text} ") == text
    for steps in (1, 2, 3, 7, 20, 50, 51, 499, 500, 501, 1000, 1500):
        assert spacing(trained(**SD), steps).steps == steps


@pytest.mark.parametrize("text", ["leading leading", "karras up", "sigma_min", "rounded", "best karras"])
def test_other_words_are_no_schedule(text: str) -> None:
    with pytest.raises(InputError, match="unknown schedule"):
        names.schedule(text)


@pytest.mark.parametrize(
    "text",
    ["ddim clip=-1", "ddim clip=nan", "ddim eta=2", "deis order=9", "deis order=x", "euler a=1", "=", "unipc eta=1"],
)
def test_other_options_are_no_sampler(text: str) -> None:
    with pytest.raises(InputError):
        names.sampler(text)


def test_options_of_a_sampler_are_read() -> None:
    assert names.sampler("dpm_solver  order=3") == ("dpm_solver order=3", None)
    assert method_of("tcd eta=0.0").eta == 0
    assert not method_of("tcd eta=0.0").stochastic
