"""Order of convergence, measured where denoiser and exact solution are closed forms: Gaussian data.

For data of standard deviation d the best estimate of x0 is x * d^2 / (d^2 + sigma^2), and the probability-flow ODE
carries x from sigma to sigma' as x * sqrt((d^2 + sigma'^2) / (d^2 + sigma^2)).
"""

from functools import partial
from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest

from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel, trained
from partway.diffusion.samplers import SAMPLERS, dpmpp_2m_sde, euler_cfg_pp, gradient_estimation, heunpp2, restart
from partway.diffusion.sampling import State, trajectory

SPREAD = 0.7
START, END = 8.0, 0.1
LONG = ("deis", "lms")  # of high order but for their first step, Euler's, whose small error shows with many steps
DETERMINISTIC = [name for name, method in SAMPLERS.items() if not method.stochastic]


def denoise(x, level, boost=1.0):
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


def test_gradient_estimation_is_its_published_steps():
    """Euler's step along the slope and, again, along how far it turned since the last; the last step is Euler's."""
    sigmas = [9.0, 4.0, 1.0, 0.0]
    x, old = 3.0, None
    for now, to in pairwise(sigmas):
        turned = (x - np.sin(x + now)) / now
        step = turned if old is None or to == 0 else turned + (turned - old)
        x, old = x + (to - now) * step, turned
    schedule = Schedule(np.array(sigmas), np.zeros(4))
    *_, last = trajectory(
        lambda x, level, boost=1.0: np.sin(x + level.sigma), gradient_estimation, schedule, np.full(1, 3.0), None
    )
    assert last.x[0] == pytest.approx(x)


def test_cfg_pp_is_its_two_estimates_in_one():
    """The published step: the guided estimate of x0, and the noise that the estimate without guidance leaves."""
    level, to = NoiseLevel(3.0, 700.0), NoiseLevel(1.2, 400.0)
    without, with_prompt, weight = 0.3, -0.8, 7.5

    def estimate(x, level, boost=1.0):
        return without + boost * weight * (with_prompt - without) + 0 * x

    x = np.full(1, 2.0)
    for eta in (0.0, 1.0):
        up = eta * 1.2 * sqrt(1 - (1.2 / 3) ** 2)
        down = sqrt(1.2**2 - up**2)
        expected = without + 0.6 * (with_prompt - without) + down * (2.0 - without) / 3 + up * 0.5
        made = euler_cfg_pp(estimate, State(x), level, to, lambda *_: np.full(1, 0.5), eta=eta)
        assert made.x[0] == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_heunpp2_is_its_published_steps(count):
    """ComfyUI's rule written out on a network that is not linear: three slopes, then two, then one."""

    def bent(x, level, boost=1.0):
        return np.sin(x + level.sigma)

    sigmas = [9.0, 4.0, 2.5, 1.0, 0.4, 0.2, 0.0][-count - 1 :]
    schedule = Schedule(np.array(sigmas), np.zeros(count + 1))
    x = 3.0
    for i in range(count):
        slopes, foreseen = [], x
        for j in range(i, min(i + 3, max(count, i + 1))):
            slopes.append((foreseen - np.sin(foreseen + sigmas[j])) / sigmas[j])
            foreseen += (sigmas[j + 1] - sigmas[j]) * slopes[-1] if j < count else 0
        later = [sigmas[i + k] / (len(slopes) * sigmas[0]) for k in range(1, len(slopes))]
        x += (sigmas[i + 1] - sigmas[i]) * float(np.dot([1 - sum(later), *later], slopes))
    *_, last = trajectory(bent, heunpp2, schedule, np.full(1, 3.0), None)
    assert last.x[0] == pytest.approx(x)


def restarted(steps, end, start=START, noise=lambda *_: np.full(1, 0.4)):
    ramp = np.linspace(start ** (1 / 5), end ** (1 / 5), steps + 1) ** 5
    schedule = Schedule(ramp, np.zeros(steps + 1))
    *_, last = trajectory(denoise, partial(restart, trained=trained()), schedule, np.ones(1), noise)
    return float(last.x[0])


@pytest.mark.parametrize("start", [START, 1.3])
def test_restart_comes_with_order_2_to_the_exact_second_descent(start):
    """Down to 0.1, up again with known noise to 2 or, from below that, to the start, and down once more."""

    def shrinks(above, below):
        return sqrt((SPREAD**2 + below**2) / (SPREAD**2 + above**2))

    end, top = 0.1, min(2.0, start)
    exact = (shrinks(start, end) + 0.4 * sqrt(top**2 - end**2)) * shrinks(top, end)
    counts = [40, 80, 160]
    errors = [abs(restarted(n, end, start) - exact) for n in counts]
    assert -np.polyfit(np.log(counts), np.log(errors), 1)[0] == pytest.approx(2, abs=0.1)


def test_restart_leaves_a_run_below_it_alone():
    heun = SAMPLERS["heun"].step
    schedule = Schedule(np.array([0.09, 0.05, 0.0]), np.zeros(3))
    made = [
        [*trajectory(denoise, step, schedule, np.ones(1), None)][-1].x
        for step in (heun, partial(restart, trained=trained()))
    ]
    assert made[0] == made[1]


def test_restart_keeps_the_data_s_spread():
    rng = np.random.default_rng(0)
    count = 50_000
    schedule = Schedule(np.append(np.linspace(START ** (1 / 5), 0.02 ** (1 / 5), 100) ** 5, 0.0), np.zeros(101))
    start = rng.normal(size=count) * sqrt(SPREAD**2 + START**2)
    step = partial(restart, trained=trained(), times=3)
    *_, last = trajectory(denoise, step, schedule, start, lambda *_: rng.normal(size=count))
    assert np.std(last.x) == pytest.approx(SPREAD, rel=0.01)


# tcd is not among them: its jump below the next level is one Euler step however many steps there are
@pytest.mark.parametrize("name", [name for name, method in SAMPLERS.items() if method.eta and name != "tcd"])
def test_stochastic_samplers_keep_the_data_s_spread(name):
    """Run to (nearly) no noise, the samples must have the standard deviation of the data."""
    rng = np.random.default_rng(0)
    # Steps of Euler's kind leave little of the hundredth to chance, which is a third of it with 50,000 samples.
    count = 200_000 if name.startswith("euler") else 50_000
    ramp = np.append(np.linspace(START ** (1 / 5), 0.02 ** (1 / 5), 400) ** 5, 0.0)
    schedule = Schedule(ramp, np.zeros(401))
    start = rng.normal(size=count) * sqrt(SPREAD**2 + START**2)
    step = SAMPLERS[name].bound(trained())
    *_, last = trajectory(denoise, step, schedule, start, lambda *_: rng.normal(size=count))
    assert np.std(last.x) == pytest.approx(SPREAD, rel=0.01)
