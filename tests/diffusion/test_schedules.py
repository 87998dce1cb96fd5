"""Schedules that diffusers does not have, against their formulas."""

import numpy as np
import pytest

from partway.diffusion.levels import trained
from partway.diffusion.schedules import (
    ddim_uniform,
    exponential,
    kl_optimal,
    linspace,
    polyexponential,
    sgm_uniform,
    simple,
)

TRAINED = trained()


@pytest.mark.parametrize("steps", [2, 7, 20, 50])
def test_formulas(steps):
    low, high = TRAINED.sigmas[[0, -1]]
    angles = np.arctan(kl_optimal(TRAINED, steps).sigmas[:-1])
    np.testing.assert_allclose(angles, np.linspace(np.arctan(high), np.arctan(low), steps))
    np.testing.assert_allclose(polyexponential(TRAINED, steps).sigmas, exponential(TRAINED, steps).sigmas)
    logs = np.log(polyexponential(TRAINED, steps, rho=2.0).sigmas[:-1])
    shares = np.sqrt((logs - np.log(low)) / (np.log(high) - np.log(low)))
    np.testing.assert_allclose(shares, np.linspace(1, 0, steps), atol=1e-6)
    np.testing.assert_allclose(sgm_uniform(TRAINED, steps).timesteps, np.linspace(999, 0, steps + 1))
    # ComfyUI: sigmas[-(1 + int(i * T / n))]
    theirs = [TRAINED.sigmas[-(1 + int(i * 1000 / steps))] for i in range(steps)]
    np.testing.assert_allclose(simple(TRAINED, steps).sigmas[:-1], theirs)
    # ComfyUI "normal" is our linspace but for log sigma, which it interpolates where diffusers interpolates sigma
    logs = np.interp(np.linspace(999, 0, steps), np.arange(1000), np.log(TRAINED.sigmas))
    np.testing.assert_allclose(linspace(TRAINED, steps).sigmas[:-1], np.exp(logs), rtol=1e-4)


@pytest.mark.parametrize("steps", [2, 4, 10, 20, 50])
@pytest.mark.parametrize("offset", [0, 1])
def test_ddim_uniform_counts_from_timestep_1_in_every_model(steps, offset):
    theirs = TRAINED.sigmas[1 :: 1000 // steps][::-1]
    ours = ddim_uniform(trained(steps_offset=offset), steps)
    np.testing.assert_allclose(ours.sigmas, [*theirs, 0.0])
