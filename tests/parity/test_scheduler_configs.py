"""Models run with no sampler or schedule given, against the scheduler that their config describes in diffusers.

The configs are those of four well-known models and what diffusers writes for every other class made from one of them,
with each of its boolean settings turned over. `otherwise` names what is different on purpose; `models/README.md` says
why.
"""

import inspect
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from hub_configs import HUB, scheduler, written
from partway.diffusion.noise import TorchCPU
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.samplers.named import method_of
from partway.diffusion.sampling import trajectory
from partway.diffusion.written import spacing_of
from partway.errors import PackageError
from partway.model import scheduler_config
from partway.model.schedulers import FOREIGN, SCHEDULERS

GUIDE = Path(__file__).parents[2] / "models/README.md"
SHAPE = (1, 4, 8, 8)
CLASSES = [name for name in SCHEDULERS if name != "DPMSolverSDEScheduler"]  # which needs torchsde

# Parameters of diffusers' classes that no row needs: they count with others that are refused, or never at this place
UNREAD = {
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "flow_shift",
    "time_shift_type",
    "shift_terminal",
    "skip_prk_steps",
    "noise_sampler_seed",
}
UNREAD_BY_DEIS = {"algorithm_type", "solver_type"}  # which has one of each


def otherwise(name, flags, strength):
    """Whether a picture differs from diffusers' on purpose."""
    return name == "PNDMScheduler" or (name == "LMSDiscreteScheduler" and strength < 1)


def flags_of(hub, name):
    """No flag, then each boolean setting of a class turned over."""
    made = scheduler(hub, name)
    settings = inspect.signature(type(made).__init__).parameters
    own = [key for key in settings if isinstance(made.config.get(key), bool)]
    return [{}, *({key: not made.config[key]} for key in own)]


def test_every_scheduler_of_diffusers_is_in_the_tables():
    theirs = {name for name in dir(diffusers) if name.endswith("Scheduler")}
    assert theirs == SCHEDULERS.keys() | FOREIGN.keys()
    rows = [line for line in GUIDE.read_text("utf-8").splitlines() if line.startswith("| ")]
    told = {word.strip("`") for line in rows for word in line.split("|")[1].replace(",", " ").split()}
    assert theirs <= told


@pytest.mark.parametrize("name", CLASSES)
def test_values_for_missing_keys_are_the_class_s_own(name):
    parameters = inspect.signature(getattr(diffusers, name).__init__).parameters
    theirs = {key: value.default for key, value in parameters.items() if key not in ("self", *UNREAD)}
    ours = SCHEDULERS[name].own
    unread = UNREAD_BY_DEIS if name.startswith("DEIS") else set()
    assert theirs.keys() - unread == ours.keys()
    assert {key: theirs[key] for key in ours} == ours


def network(x, timestep):
    """Bounded and smooth in both arguments, in whatever array library x is of."""
    xp = torch if isinstance(x, torch.Tensor) else np
    return 0.8 * xp.sin(1.3 * x + 2 * float(timestep) / 1000) + 0.3 * x


def their_latents(made, steps, strength):
    """The end of diffusers' image-to-image loop, as its pipeline writes it."""
    made.set_timesteps(steps)
    start = (steps - int(steps * strength)) * made.order
    timesteps = made.timesteps[start:]
    if hasattr(made, "set_begin_index"):
        made.set_begin_index(start)
    clean, noise = (torch.from_numpy(TorchCPU(seed).normal(SHAPE)) for seed in (3, 6))
    x = made.add_noise(clean, noise, timesteps[:1])
    offered = {"eta": 0.0, "generator": torch.Generator().manual_seed(5)}
    taken = inspect.signature(made.step).parameters
    offered = {key: value for key, value in offered.items() if key in taken}
    for t in timesteps:
        x = made.step(network(made.scale_model_input(x, t), t), t, x, **offered).prev_sample
    return x.numpy()


def our_latents(read, steps, strength):
    """The end of the run that partway makes of it."""
    part = spacing_of(read.schedule)(read.trained, steps).last(int(steps * strength))
    prediction, stream = PREDICTIONS[read.prediction], TorchCPU(5)

    def denoise(x, level, boost=1.0, /):
        output = network(x * np.float32(prediction.scale(level.sigma)), level.timestep)
        return prediction.denoised(x, output, level)

    step = method_of(read.sampler).bound(read.trained, steps=steps)
    x = TorchCPU(3).normal(SHAPE) + np.float32(part.sigmas[0]) * TorchCPU(6).normal(SHAPE)
    for state in trajectory(denoise, step, part, x, lambda *_: stream.normal(SHAPE)):
        x = state.x
    return x * np.float32(prediction.scale(part.sigmas[-1]))


def check_latents(made, name, flags, steps, strength):
    config = written(made)
    try:
        read = scheduler_config.read(config, name)
    except PackageError as error:
        [flag] = flags
        assert flag in str(error)
        return
    ours = our_latents(read, steps, strength)
    assert np.isfinite(ours).all()
    if otherwise(name, flags, strength):
        return
    theirs = their_latents(made, steps, strength)
    from_pure_noise = strength == 1 and flags == {"rescale_betas_zero_snr": True}
    if np.isfinite(theirs).all():
        digits = 1e-3 if from_pure_noise else 1e-4  # sigma is 4096 at the start, which costs float32 three of them
        np.testing.assert_allclose(ours, theirs, atol=digits * max(1, np.abs(theirs).max()), err_msg=str(flags))
    elif name in ("LCMScheduler", "TCDScheduler"):  # which divide by an alpha of 0
        assert from_pure_noise
    else:  # a step of second order to sigma 0
        assert name == "UniPCMultistepScheduler"
        assert flags == {"lower_order_final": False}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("hub", HUB)
def test_a_class_made_from_a_model_s_config_gives_diffusers_latents(hub, name):
    check_latents(scheduler(hub, name), name, {}, 10, 0.5)


@pytest.mark.parametrize("name", CLASSES)
def test_every_boolean_setting_is_obeyed_or_refused(name):
    for flags in flags_of("sdxl", name):
        check_latents(scheduler("sdxl", name, **flags), name, flags, 10, 0.5)


MORE = [
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 1}),
    ("DPMSolverMultistepScheduler", {"solver_order": 1}),
    ("DPMSolverMultistepScheduler", {"solver_order": 3}),
    ("DPMSolverMultistepScheduler", {"solver_order": 3, "euler_at_final": True}),
    ("DPMSolverMultistepScheduler", {"solver_type": "heun"}),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min", "lower_order_final": False}),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min", "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}),
    ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverSinglestepScheduler", {"solver_type": "heun"}),
    ("DPMSolverSinglestepScheduler", {"solver_order": 1}),
    ("DPMSolverSinglestepScheduler", {"final_sigmas_type": "sigma_min"}),
    ("DPMSolverSinglestepScheduler", {"final_sigmas_type": "sigma_min", "lower_order_final": True}),
    ("UniPCMultistepScheduler", {"solver_order": 3}),
    ("UniPCMultistepScheduler", {"solver_order": 3, "solver_type": "bh1", "final_sigmas_type": "sigma_min"}),
    ("UniPCMultistepScheduler", {"lower_order_final": False, "final_sigmas_type": "sigma_min"}),
    ("UniPCMultistepScheduler", {"solver_order": 1}),
    ("UniPCMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
    ("UniPCMultistepScheduler", {"timestep_spacing": "trailing"}),
    ("DEISMultistepScheduler", {"solver_order": 3}),
    ("DEISMultistepScheduler", {"solver_order": 1}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing", "use_karras_sigmas": True}),
    ("DDIMScheduler", {"clip_sample": True, "clip_sample_range": 0.7}),
    ("DDIMScheduler", {"timestep_spacing": "trailing"}),
    ("DDPMScheduler", {"clip_sample": True, "clip_sample_range": 0.7, "timestep_spacing": "linspace"}),
    ("DDPMScheduler", {"variance_type": "fixed_small_log"}),
    ("DDIMScheduler", {"steps_offset": 0}),
    ("DDIMScheduler", {"num_train_timesteps": 500}),
    ("KDPM2DiscreteScheduler", {"num_train_timesteps": 500, "use_karras_sigmas": True}),
]


def further():
    """All of `MORE` from the middle and whole, but where float32 has no digits left, or 7 does not divide 1000."""
    for name, flags in MORE:
        yield name, flags, 20, 0.5
        if "beta_schedule" not in flags and (name, flags) != ("DDIMScheduler", {"timestep_spacing": "trailing"}):
            yield name, flags, 7, 1.0


@pytest.mark.parametrize(("name", "flags", "steps", "strength"), list(further()), ids=str)
def test_further_settings_are_obeyed(name, flags, steps, strength):
    made = scheduler("sdxl", name, **flags)
    ours = our_latents(scheduler_config.read(written(made), name), steps, strength)
    theirs = their_latents(made, steps, strength)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1, np.abs(theirs).max()))


@pytest.mark.thorough
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("hub", HUB)
@pytest.mark.parametrize(("steps", "strength"), [(10, 0.5), (20, 1.0), (8, 0.25), (25, 0.8)])
def test_every_setting_of_every_class_gives_diffusers_latents(hub, name, steps, strength):
    for flags in flags_of(hub, name):
        check_latents(scheduler(hub, name, **flags), name, flags, steps, strength)


# -- pictures


@pytest.fixture(scope="session")
def outcomes():
    counts = Counter()
    yield counts
    print("\nimage-to-image, configs x settings:", dict(counts))


@pytest.fixture(scope="session")
def pipes(tiny_model, ours):
    """(diffusers' components, partway's pipeline) of one small model."""
    parts = diffusers.StableDiffusionPipeline.from_pretrained(tiny_model("sd1"), safety_checker=None).components
    return parts | {"requires_safety_checker": False}, ours("sd1")


@cache
def source():
    y, x = np.mgrid[:64, :64] / 12
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 100 * rgb))


def psnr(ours, theirs):
    error = np.mean((np.asarray(ours, float) - np.asarray(theirs, float)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("hub", HUB)
def test_pictures_of_every_class_and_setting(pipes, outcomes, hub, name):
    parts, pipe = pipes
    for flags in flags_of(hub, name):
        made = scheduler(hub, name, **flags)
        try:
            read = scheduler_config.read(scheduler_config.corrected(written(made), "StableDiffusionPipeline"), name)
        except PackageError:
            outcomes["refused"] += 1
            continue
        ours = replace(pipe, package=replace(pipe.package, **read._asdict()))
        image = ours.img2img(source(), "a room", steps=10, strength=0.5, seed=4, guidance_scale=5.0).image
        theirs = diffusers.StableDiffusionImg2ImgPipeline(**{**parts, "scheduler": made})
        theirs.set_progress_bar_config(disable=True)
        seed = torch.Generator().manual_seed(4)
        settings = {"num_inference_steps": 10, "strength": 0.5, "guidance_scale": 5.0, "generator": seed}
        expected = theirs("a room", image=source(), output_type="np", **settings).images[0]
        if otherwise(name, flags, 0.5) or not np.isfinite(expected).all():
            outcomes["different on purpose"] += 1
        else:
            assert psnr(image, 255 * expected) >= 50, flags
            outcomes["50 dB or more"] += 1
