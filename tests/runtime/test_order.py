"""Order of convergence, measured where denoiser and exact solution are closed forms: Gaussian data.

For data of standard deviation d the best estimate of x0 is x * d^2 / (d^2 + sigma^2), and the probability-flow ODE
carries x from sigma to sigma' as x * sqrt((d^2 + sigma'^2) / (d^2 + sigma^2)).
"""

from functools import partial
from math import log, sqrt

import numpy as np
import pytest

from partway.levels import trained
from partway.samplers import SAMPLERS, dpmpp_2m_sde
from partway.sampling import trajectory
from partway.schedules import Schedule

SPREAD = 0.7
START, END = 8.0, 0.1
LONG = ("deis", "lms")  # of high order but for their first step, Euler's, whose small error shows with many steps
DETERMINISTIC = [name for name, method in SAMPLERS.items() if not method.stochastic]


def denoise(x, level):
    return x * (SPREAD**2 / (SPREAD**2 + level.sigma**2))


def error(step, steps, end=END):
    # A smooth change of variable between even in sigma and even in log sigma, so that no sampler is favoured.
    ramp = np.linspace(START ** (1 / 5), end ** (1 / 5), steps + 1) ** 5
    schedule = Schedule(ramp, np.zeros(steps + 1))
    *_, last = trajectory(denoise, step, schedule, np.ones(1), lambda *_: np.zeros(1))
    exact = sqrt((SPREAD**2 + end**2) / (SPREAD**2 + START**2))
    return abs(float(last.x[0]) - exact)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_error_falls_with_the_order_of_the_method(name):
    step = SAMPLERS[name].bound(trained())
    counts = np.array([20, 28, 40, 56, 80] if name in LONG else [160, 226, 320, 452, 640])
    slope = -np.polyfit(np.log(counts), [log(error(step, n)) for n in counts], 1)[0]
    assert slope > SAMPLERS[name].order - 0.1
    assert slope < SAMPLERS[name].order + (0.6 if name in LONG else 0.1)


def test_sde_without_noise_is_the_ode():
    without = partial(dpmpp_2m_sde, eta=0.0)
    assert error(without, 40) == pytest.approx(error(SAMPLERS["dpmpp_2m"].step, 40), rel=1e-9)


def test_sde_of_three_evaluations_without_noise_is_the_ode():
    without = partial(SAMPLERS["dpmpp_3m_sde"].step, eta=0.0)
    assert error(without, 40) == pytest.approx(error(SAMPLERS["dpmpp_3m"].step, 40), rel=1e-9)


# tcd is not among them: its jump below the next level is one Euler step however many steps there are
@pytest.mark.parametrize("name", [name for name, method in SAMPLERS.items() if method.eta and name != "tcd"])
def test_stochastic_samplers_keep_the_data_s_spread(name):
    """Run to (nearly) no noise, the samples must have the standard deviation of the data."""
    rng = np.random.default_rng(0)
    count = 200_000
    ramp = np.append(np.linspace(START ** (1 / 5), 0.02 ** (1 / 5), 400) ** 5, 0.0)
    schedule = Schedule(ramp, np.zeros(401))
    start = rng.normal(size=count) * sqrt(SPREAD**2 + START**2)
    step = SAMPLERS[name].bound(trained())
    *_, last = trajectory(denoise, step, schedule, start, lambda *_: rng.normal(size=count))
    assert np.std(last.x) == pytest.approx(SPREAD, rel=0.01)
