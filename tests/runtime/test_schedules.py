"""Schedules that diffusers does not have, against their formulas."""

import numpy as np
import pytest

from partway.levels import trained
from partway.schedules import exponential, kl_optimal, polyexponential, sgm_uniform, simple

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
