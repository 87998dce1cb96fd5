"""Every sampler against diffusers' scheduler of the same name, step by step on a network that is not linear.

The network is a fixed function of (latents, timestep); no pipeline, no tokens, no pixels: `test_pictures.py` has those.
"""

import inspect
from copy import deepcopy
from functools import cache
from itertools import product

import diffusers
import numpy as np
import pytest
import torch

from partway.diffusion.dials import pure_noise
from partway.diffusion.grids import Schedule
from partway.diffusion.levels import trained
from partway.diffusion.noise import TorchCPU
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.sampling import trajectory
from partway.diffusion.schedules import SCHEDULES

SHAPE = (1, 4, 16, 16)
SD = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": True,
    "clip_sample": False,
}

# sampler -> diffusers' class and the flags that make it the same algorithm
CLASSES = {
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_a": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "plms": (diffusers.PNDMScheduler, {"skip_prk_steps": True}),
    "unipc": (diffusers.UniPCMultistepScheduler, {"solver_order": 2, "solver_type": "bh2"}),
    "ddpm": (diffusers.DDPMScheduler, {}),
    "dpm2": (diffusers.KDPM2DiscreteScheduler, {}),
    "dpm2_a": (diffusers.KDPM2AncestralDiscreteScheduler, {}),
    "dpmpp_3m": (
        diffusers.DPMSolverMultistepScheduler,
        {"solver_order": 3, "solver_type": "heun", "lower_order_final": False},
    ),
    "res_multistep": (diffusers.DPMSolverMultistepScheduler, {"solver_type": "heun"}),
    "deis": (diffusers.DEISMultistepScheduler, {"solver_order": 3, "lower_order_final": False}),
    "lms": (diffusers.LMSDiscreteScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
}
# diffusers' classes that count one step more for "leading" and "linspace"
DPM = ("dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m", "res_multistep", "unipc", "deis")

CASES = [
    *((name, grid) for name in CLASSES if name not in ("lcm", "tcd") for grid in ("leading", "trailing")),
    ("lms", "linspace"),
    ("dpm2", "linspace"),
    ("dpm2_a", "linspace"),
    ("euler", "linspace"),
    ("euler_a", "linspace"),
    ("heun", "linspace"),
    ("dpmpp_2m", "linspace_dpm"),
    ("unipc", "linspace_dpm"),
    ("euler", "karras"),
    ("heun", "karras"),
    ("dpmpp_2m", "karras"),
    ("dpmpp_2m_sde", "karras"),
    ("unipc", "karras"),
    ("euler", "exponential"),
    ("lcm", "lcm"),
    ("tcd", "lcm"),
]


def network(x, timestep):
    """Bounded and smooth in both arguments, in whatever array library x is of."""
    xp = torch if isinstance(x, torch.Tensor) else np
    level = float(timestep) / 1000
    return 0.8 * xp.sin(1.3 * x + 2 * level) + 0.3 * x


def ours(sampler, schedule, x, noise, prediction):
    record = PREDICTIONS[prediction]

    def denoise(x, level):
        return record.denoised(x, network(x * np.float32(record.scale(level.sigma)), level.timestep), level)

    for state in trajectory(denoise, SAMPLERS[sampler].bound(trained()), schedule, x, noise):
        assert state.x.dtype == np.float32
    return state.x


def theirs(scheduler, timesteps, x, generator):
    for t in timesteps:
        output = network(scheduler.scale_model_input(x, t), t)
        extra = {"generator": generator} if "generator" in scheduler.step.__code__.co_varnames else {}
        x = scheduler.step(output, t, x, **extra).prev_sample
    return x


@cache  # two of the classes take a second to be made
def scheduler_of(sampler, *flags):
    cls, own = CLASSES[sampler]
    known = inspect.signature(cls).parameters
    return cls(**{name: value for name, value in {**SD, **own, **dict(flags)}.items() if name in known})


def make(sampler, grid, steps, prediction):
    """diffusers' scheduler on a grid, and our schedule of the same grid with the timesteps it rounds to."""
    spacing = {"leading_dpm": "leading", "linspace_dpm": "linspace", "karras": "linspace", "exponential": "linspace"}
    flags = {}
    if grid in ("karras", "exponential"):
        flags[f"use_{grid}_sigmas"] = True
    if sampler in DPM:
        grid = {"leading": "leading_dpm"}.get(grid, grid)
    if grid != "lcm":
        flags["timestep_spacing"] = spacing.get(grid, grid)
    scheduler = deepcopy(scheduler_of(sampler, *flags.items()))
    scheduler.register_to_config(prediction_type=prediction)
    scheduler.set_timesteps(steps)
    schedule = SCHEDULES[grid](trained(), steps)
    if grid == "karras" and sampler in DPM:
        schedule = Schedule(np.array(schedule.sigmas), np.append(scheduler.timesteps.numpy(), 0.0))  # they round
    if sampler in ("tcd", "deis"):  # theirs end on the cleanest trained level, not on 0
        schedule = Schedule(np.append(schedule.sigmas[:-1], trained().sigmas[0]), np.array(schedule.timesteps))
    return scheduler, schedule


def runs():
    """All cases but two of PNDM's: strength < 1, where diffusers is wrong (`test_plms_from_the_middle` has it
    corrected), and v, where it combines raw outputs while ours combines the predicted noise."""
    for (sampler, grid), prediction, strength in product(CASES, ["epsilon", "v_prediction"], [0.5, 1.0]):
        if sampler == "lms" and strength < 1:  # theirs weighs evaluations that a sliced run does not have
            continue
        if sampler != "plms" or (prediction == "epsilon" and strength == 1):
            yield sampler, grid, prediction, strength


@pytest.mark.parametrize(("sampler", "grid", "prediction", "strength"), list(runs()))
@pytest.mark.parametrize("steps", [4, 10, 20])
def test_same_latents_as_diffusers(sampler, grid, prediction, strength, steps):
    scheduler, schedule = make(sampler, grid, steps, prediction)
    latents = TorchCPU(1).normal(SHAPE)
    generator, stream = torch.Generator().manual_seed(5), TorchCPU(5)
    run = int(steps * strength)
    start = (steps - run) * scheduler.order
    timesteps = scheduler.timesteps[start:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    x = scheduler.add_noise(torch.from_numpy(latents), torch.randn(SHAPE, generator=generator), timesteps[:1])
    expected = theirs(scheduler, timesteps, x, generator).numpy()

    part = schedule.last(run)
    x = latents + np.float32(part.sigmas[0]) * stream.normal(SHAPE)
    got = ours(sampler, part, x, lambda *_: stream.normal(SHAPE), prediction)
    got = got / np.float32(np.hypot(1, part.sigmas[-1]))
    np.testing.assert_allclose(got, expected, atol=2e-4 * max(1, np.abs(expected).max()))


def test_plms_from_the_middle():
    """diffusers' PNDM with the duplicate that slicing loses put back: what its formula means at strength < 1."""
    scheduler, schedule = make("plms", "leading", 20, "epsilon")
    latents, noise = TorchCPU(1).normal(SHAPE), TorchCPU(2).normal(SHAPE)
    kept = schedule.timesteps[-12:-1]
    timesteps = torch.tensor([kept[0], kept[1], *kept[1:]], dtype=torch.int64)
    x = scheduler.add_noise(torch.from_numpy(latents), torch.from_numpy(noise), timesteps[:1])
    expected = theirs(scheduler, timesteps, x, None).numpy()
    part = schedule.last(11)
    got = ours("plms", part, latents + np.float32(part.sigmas[0]) * noise, None, "epsilon")
    np.testing.assert_allclose(got, expected, atol=2e-4)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc", "plms", "lcm"])
def test_pure_noise_has_the_variance_that_diffusers_gives_it(sampler):
    scheduler, schedule = make(sampler, "lcm" if sampler == "lcm" else "leading", 10, "epsilon")
    assert scheduler.init_noise_sigma == 1.0  # in sqrt(a) * x0 + sqrt(1 - a) * noise
    assert pure_noise(schedule) / np.hypot(1, schedule.sigmas[0]) == 1.0
