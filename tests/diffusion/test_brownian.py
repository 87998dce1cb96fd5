"""Noise of one Brownian path: what makes it one, and what it is for."""

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest

from partway.diffusion.brownian import Path
from partway.diffusion.grids import Schedule
from partway.diffusion.levels import trained
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.sampling import trajectory

TOP = 14.6


def test_a_step_s_noise_is_that_of_its_parts():
    path = Path(3, (4, 8, 8), TOP)
    edges = [TOP, 9.1, 9.0999, 4.0, 0.7, 0.0291, 0.0]
    parts = [sqrt(a - b) * path.noise(a, b) for a, b in pairwise(edges)]
    np.testing.assert_allclose(sum(parts), sqrt(TOP) * path.noise(TOP, 0.0), atol=1e-5)


def test_it_is_the_seed_s_in_any_order():
    first, again = Path(3, (4, 8, 8), TOP), Path(3, (4, 8, 8), TOP)
    late = first.noise(2.0, 1.0)
    again.noise(9.0, 2.0)
    np.testing.assert_array_equal(late, again.noise(2.0, 1.0))
    assert late.dtype == np.float32
    for other in (4, 3 + 2**32, -3):
        assert not np.allclose(late, Path(other, (4, 8, 8), TOP).noise(2.0, 1.0))


@pytest.mark.parametrize(("sigma", "to"), [(TOP, 0.0), (10.0, 3.3), (1.0, 0.999), (1e-4, 0.0), (1e-6, 0.0)])
def test_steps_are_standard_normal_and_independent(sigma, to):
    count = 40_000  # so that 0.03 is over four standard errors of each figure
    path = Path(1, (count,), TOP)
    noise = path.noise(sigma, to)
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    if to:
        assert abs((noise * path.noise(to, 0.0)).mean()) < 0.03


@pytest.mark.parametrize("sampler", [name for name, method in SAMPLERS.items() if method.path])
def test_more_steps_lead_to_the_same_picture(sampler):
    """Gaussian data of spread 0.7, whose best denoiser is known: twice the steps, and the end must stay."""
    count = 400
    path, fresh = Path(5, (count,), 8.0), np.random.default_rng(5)
    start = np.random.default_rng(6).normal(size=count) * sqrt(0.49 + 64)

    def end(steps, noise):
        schedule = Schedule(np.linspace(8.0 ** (1 / 5), 0.1 ** (1 / 5), steps + 1) ** 5, np.zeros(steps + 1))
        step = SAMPLERS[sampler].bound(trained())
        *_, last = trajectory(lambda x, at: x * (0.49 / (0.49 + at.sigma**2)), step, schedule, start, noise)
        return last.x

    def moved(noise):
        return np.std(end(40, noise) - end(80, noise)) / 0.7

    assert moved(path.noise) < 0.1
    assert moved(lambda *_: fresh.normal(size=count)) > 0.5


@pytest.mark.parametrize("sampler", [name for name, method in SAMPLERS.items() if method.path])
def test_a_run_s_seeds_each_have_their_path(pipe, sampler):
    same = {"sampler": sampler, "steps": 6, "schedule": "sigmas 40,9,3,1,0.2"}  # above the trained levels, too
    both = pipe.txt2img("a room", seed=(3, 4), **same).images
    alone = [pipe.txt2img("a room", seed=seed, **same).image for seed in (3, 4)]
    assert [one.tobytes() for one in both] == [one.tobytes() for one in alone]
    assert both[0].tobytes() != both[1].tobytes()


@pytest.mark.parametrize("sampler", [name for name, method in SAMPLERS.items() if method.path])
def test_a_seed_is_one_picture_at_40_and_at_80_steps(pipe, sampler):
    def made(steps, seed):
        same = {"sampler": sampler, "schedule": "karras", "guidance_scale": 1}
        return np.asarray(pipe.txt2img("a room", steps=steps, seed=seed, **same).image, float)

    once = made(40, 1)
    assert np.abs(once - made(80, 1)).mean() < 10  # 45 with noise drawn afresh
    assert np.abs(once - made(40, 2)).mean() > 40
