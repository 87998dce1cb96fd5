"""Training levels and grids against diffusers' own scheduler classes."""

import diffusers
import numpy as np
import pytest

from partway.diffusion.levels import trained
from partway.diffusion.names import SAMPLER_ALIASES
from partway.diffusion.schedules import SCHEDULES

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@pytest.mark.parametrize("beta_schedule", ["scaled_linear", "linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_training_sigmas_equal_diffusers(beta_schedule, zero_snr):
    theirs = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule=beta_schedule, rescale_betas_zero_snr=zero_snr
    )
    alphas = theirs.alphas_cumprod
    sigmas = (((1 - alphas) / alphas) ** 0.5).numpy()
    ours = trained(beta_schedule, 0.00085, 0.012, zero_terminal_snr=zero_snr).sigmas
    if zero_snr:
        # torch's vectorised square root is a last bit of alpha off now and then, on some processors more often
        np.testing.assert_allclose(1 / (1 + ours**2), alphas.numpy(), atol=2e-7, rtol=2e-6)
    else:
        np.testing.assert_allclose(ours, sigmas, rtol=2e-7)


@pytest.mark.parametrize("zero_snr", [False, True])
def test_levels_of_betas_that_a_model_brings_equal_diffusers(zero_snr):
    betas = np.geomspace(1e-4, 0.05, 400).tolist()
    alphas = diffusers.EulerDiscreteScheduler(trained_betas=betas, rescale_betas_zero_snr=zero_snr).alphas_cumprod
    ours = trained(betas=betas, zero_terminal_snr=zero_snr).sigmas
    np.testing.assert_allclose(1 / (1 + ours**2), alphas.numpy(), atol=2e-7, rtol=2e-6)


# Whose grid each of our names is: diffusers' classes disagree about the same word.
GRIDS = [
    ("leading", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "leading"}),
    ("leading", diffusers.DDIMScheduler, {"timestep_spacing": "leading"}),
    ("trailing", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    ("trailing", diffusers.DPMSolverMultistepScheduler, {"timestep_spacing": "trailing"}),
    ("linspace", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "linspace"}),
    ("leading_dpm", diffusers.DPMSolverMultistepScheduler, {"timestep_spacing": "leading"}),
    ("leading_dpm", diffusers.UniPCMultistepScheduler, {"timestep_spacing": "leading"}),
    ("linspace_dpm", diffusers.DPMSolverMultistepScheduler, {"timestep_spacing": "linspace"}),
    ("karras", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "linspace", "use_karras_sigmas": True}),
    ("exponential", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "linspace", "use_exponential_sigmas": True}),
    ("ddim_uniform", diffusers.DDIMScheduler, {"timestep_spacing": "leading"}),
    ("exponential", diffusers.DPMSolverMultistepScheduler, {"use_lu_lambdas": True}),
    ("beta", diffusers.EulerDiscreteScheduler, {"timestep_spacing": "linspace", "use_beta_sigmas": True}),
    ("lcm", diffusers.LCMScheduler, {}),
]


@pytest.mark.parametrize(("name", "scheduler", "flags"), GRIDS)
@pytest.mark.parametrize("steps", [2, 4, 7, 20, 30, 50])
def test_grids_equal_diffusers(name, scheduler, flags, steps):
    theirs = scheduler(**SD, **flags) if "steps_offset" in scheduler().config else scheduler(**{**SD, **flags})
    theirs.set_timesteps(steps)
    ours = SCHEDULES[name](trained(), steps)
    timesteps = theirs.timesteps.numpy().astype(np.float64)
    # diffusers interpolates sigma but inverts log sigma; ours is one map and its inverse
    atol = 0.1 if name in ("karras", "exponential", "beta") else 1e-4
    atol = 0.6 if "use_lu_lambdas" in flags else atol  # theirs are rounded
    np.testing.assert_allclose(ours.timesteps[:-1], timesteps, atol=atol)
    if hasattr(theirs, "sigmas"):
        np.testing.assert_allclose(ours.sigmas, theirs.sigmas.numpy(), rtol=2e-6, atol=1e-9)


def test_the_classes_among_our_aliases_are_diffusers_own():
    classes = [alias for also in SAMPLER_ALIASES.values() for alias in also if alias.endswith("Scheduler")]
    assert len(classes) > 10
    assert all(hasattr(diffusers, name) for name in classes)


def test_align_your_steps_is_diffusers_table():
    """Theirs are whole timesteps of the ten-step schedule."""
    from diffusers.schedulers import AysSchedules

    for name, key in (("ays", "StableDiffusionTimesteps"), ("ays_xl", "StableDiffusionXLTimesteps")):
        ours = SCHEDULES[name](trained(), 10).timesteps[:-1]
        np.testing.assert_allclose(ours, AysSchedules[key], atol=6)


def test_beta_quantiles_are_scipy_s():
    stats = pytest.importorskip("scipy.stats")
    ours = SCHEDULES["beta_comfyui"](trained(), 25).timesteps[:-1]
    theirs = stats.beta.ppf(1 - np.linspace(0, 1, 25, endpoint=False), 0.6, 0.6) * 999
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_schedules_have_their_steps_at_every_count():
    for name, spacing in SCHEDULES.items():
        for steps in [*range(1, 105), 201, 333, 499, 500, 501, 999, 1000, 1001, 5000]:
            assert spacing(trained(), steps).steps == steps, name
