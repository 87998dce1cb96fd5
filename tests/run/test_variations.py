"""Variations of a seed: noise that turns from one towards another."""

import numpy as np
import pytest

import partway
from partway.diffusion.noise import TorchCPU, slerp


def test_turned_noise_keeps_its_length_and_goes_all_the_way():
    a, b = (TorchCPU(seed).normal((2, 4, 16, 16)) for seed in (1, 2))
    np.testing.assert_allclose(slerp(a, b, 0), a, atol=1e-6)
    np.testing.assert_allclose(slerp(a, b, 1), b, atol=1e-6)
    for share in (0.1, 0.5, 0.9):
        assert slerp(a, b, share).std() == pytest.approx(1, abs=0.03)
        assert slerp(a, b, share).dtype == np.float32
    angles = [np.arccos(np.sum(a * slerp(a, b, s)) / np.sum(a * a)) for s in (0.25, 0.5)]
    assert angles[1] == pytest.approx(2 * angles[0], rel=0.02)
    np.testing.assert_allclose(slerp(a, a, 0.5), a, atol=1e-6)


def test_a_variation_goes_from_one_seed_s_picture_to_the_other_s(pipe):
    def made(**settings):
        image = pipe.txt2img("a room", width=32, height=24, sampler="euler", steps=5, **settings).image
        return np.asarray(image).astype(int)

    first, second = made(seed=1), made(seed=2)
    between = [made(seed=1, variation_seed=2, variation_strength=v) for v in (0, 0.2, 0.7, 1)]
    assert (between[0] == first).all() and (between[3] == second).all()
    away = [np.abs(one - first).sum() for one in between]
    assert away == sorted(away) and len(set(away)) == 4


def test_variations_out_of_range():
    for settings in ({"variation_strength": 1.1}, {"variation_seed": 0.5}):
        with pytest.raises(partway.InputError):
            partway.Settings(**settings)
