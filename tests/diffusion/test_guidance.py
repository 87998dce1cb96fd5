"""What is made of the two outputs of a guidance pair: closed forms, and their way through a run."""

import numpy as np
import pytest

import partway
from partway.diffusion.guidance import Guidance, combined, guided, mimicking, rescaled, zero_star

RNG = np.random.default_rng(0)
U, C = (RNG.normal(size=(2, 4, 6, 5)).astype(np.float32) for _ in range(2))


def test_guided_is_a_line_through_both():
    np.testing.assert_array_equal(guided(U, C, 0), U)
    np.testing.assert_allclose(guided(U, C, 1), C, atol=1e-6)
    np.testing.assert_allclose(guided(U, C, 3) - U, 3 * (C - U), atol=1e-5)


def test_zero_star_is_the_nearest_multiple_in_each_picture():
    fitted = zero_star(U, C)
    for picture in range(2):
        left = (C - fitted)[picture]
        assert abs(np.sum(left * U[picture])) < 1e-4, "what is left is perpendicular"
        for factor in (0.5, 1.5):
            assert np.sum(left**2) <= np.sum((C - factor * fitted)[picture] ** 2)
    np.testing.assert_allclose(zero_star(4 * U, C), fitted, atol=1e-6)
    np.testing.assert_allclose(zero_star(U, 3 * U), 3 * U, atol=1e-5)
    np.testing.assert_array_equal(zero_star(0 * U, C), 0 * U)


def test_mimicking_takes_a_lower_scale_s_range_and_nothing_else():
    low, high = guided(U, C, 3), guided(U, C, 12)
    made = mimicking(high, low)
    axes = (2, 3)
    np.testing.assert_allclose(made.mean(axis=axes), high.mean(axis=axes), atol=1e-5)
    reach = [np.abs(a - a.mean(axis=axes, keepdims=True)).max(axis=axes) for a in (made, low, high)]
    np.testing.assert_allclose(reach[0], np.minimum(reach[1], reach[2]), rtol=1e-5)
    np.testing.assert_allclose(mimicking(low, high), low, atol=1e-6)  # never wider
    assert np.isfinite(mimicking(np.ones_like(high), low)).all()


def test_rescaled_has_the_conditional_s_spread():
    output = guided(U, C, 7.5)
    np.testing.assert_allclose(rescaled(output, C, 1.0).std(axis=(1, 2, 3)), C.std(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(rescaled(output, C, 0.0), output)


def test_they_combine_in_order():
    guidance = Guidance(9, zero_star=True, mimic=4, rescale=0.5)
    fitted = zero_star(U, C)
    for boost in (1.0, 0.3):
        expected = mimicking(guided(fitted, C, boost * 9), guided(fitted, C, boost * 4))
        made = combined(U, C, guidance, boost)
        np.testing.assert_allclose(made, rescaled(expected, C, 0.5), atol=1e-5)
    np.testing.assert_array_equal(combined(U, C, Guidance(9)), guided(U, C, 9))
    assert combined(U, C, guidance).dtype == np.float32


def made(pipe, picture, **settings):
    same = {"negative_prompt": "dark", "strength": 0.8, "steps": 8, "sampler": "euler"}
    return pipe.img2img(picture, "a room", **(same | settings)).image.tobytes()


def test_each_has_its_setting(pipe, picture):
    plain = made(pipe, picture)
    others = [made(pipe, picture, guidance_zero_star=True), made(pipe, picture, guidance_mimic=2.0)]
    assert len({plain, *others}) == 3
    assert made(pipe, picture, guidance_mimic=7.5) == plain  # its own scale
    # where there is no second prediction, they have no part
    alone = made(pipe, picture, guidance_scale=1)
    assert made(pipe, picture, guidance_scale=1, guidance_zero_star=True, guidance_mimic=3.0) == alone


@pytest.mark.parametrize("sampler", ["euler_cfg_pp", "euler_a_cfg_pp"])
def test_cfg_pp_runs_at_the_lambda_that_the_scale_stands_for(pipe, picture, sampler):
    # The only step of a run ends on sigma 0, where nothing is kept: guidance lambda, and Euler.
    same = {"steps": 1, "strength": 1}
    assert made(pipe, picture, sampler=sampler, guidance_scale=25, **same) == made(
        pipe, picture, guidance_scale=2, **same
    )
    # Without guidance both estimates are one, and the sampler is Euler or its ancestral form.
    plain = {"euler_cfg_pp": "euler", "euler_a_cfg_pp": "euler_a"}[sampler]
    alone = made(pipe, picture, sampler=sampler, guidance_scale=1)
    assert alone == made(pipe, picture, sampler=plain, guidance_scale=1)
    assert alone != made(pipe, picture, sampler=sampler)


def test_cfg_pp_goes_through_a_mask(pipe, picture):
    same = {"strength": 0.7, "steps": 6, "sampler": "euler_cfg_pp", "negative_prompt": "dark"}
    mask = np.full((picture.height, picture.width), 255, np.uint8)
    whole = np.asarray(pipe.inpaint(picture, mask, "a room", **same).image, int)
    np.testing.assert_allclose(whole, np.asarray(pipe.img2img(picture, "a room", **same).image, int), atol=1)


def test_settings_out_of_range():
    for settings, problem in (
        ({"guidance_mimic": -1}, "between 0 and 1000"),
        ({"guidance_zero_star": 1}, "True or False"),
        ({"guidance_zero_star": "yes"}, "True or False"),
    ):
        with pytest.raises(partway.InputError, match=problem):
            partway.Settings(**settings)
