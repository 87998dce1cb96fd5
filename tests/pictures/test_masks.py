"""Masks: what they keep, to the byte, with every sampler; grey as a strength; the part that is worked on."""

import numpy as np
import pytest
from PIL import Image

import partway
from partway.pictures import images, masks


@pytest.fixture
def mask(picture):
    """White in the middle, off the grid of latents, black elsewhere."""
    pixels = np.zeros((picture.height, picture.width), np.uint8)
    pixels[5:17, 9:26] = 255
    return Image.fromarray(pixels)


def outside(mask):
    return np.asarray(mask) == 0


@pytest.mark.parametrize("strength", [0.3, 0.55, 1.0])
@pytest.mark.parametrize("sampler", sorted(partway.SAMPLERS))
def test_outside_the_mask_no_byte_changes(pipe, picture, mask, sampler, strength):
    made = pipe.inpaint(picture, mask, "a room", sampler=sampler, strength=strength, steps=6).image
    there, here = np.asarray(picture), np.asarray(made)
    assert (here[outside(mask)] == there[outside(mask)]).all()
    assert (here[~outside(mask)] != there[~outside(mask)]).any()


@pytest.mark.parametrize("sampler", sorted(partway.SAMPLERS))
def test_latents_outside_the_mask_end_as_the_source_s(pipe, picture, mask, sampler):
    """Not only pasted over: the latents too come out as they went in, which is what makes the border fit."""
    edit = masks.edit(images.read(picture), mask)
    weights = masks.of_latents(edit.padded(pipe.package.multiple), pipe.package.vae_scale_factor)[0, 0]
    *_, last = pipe.stream("a room", edit, sampler=sampler, steps=5, strength=0.8)
    *_, none = pipe.stream("a room", edit, sampler=sampler, steps=5, strength=0.8, seed=0, guidance_scale=3)
    assert weights.min() == 0 and weights.max() == 1
    np.testing.assert_array_equal(last.denoised[0][:, weights == 0], none.denoised[0][:, weights == 0])
    assert (last.denoised[0][:, weights == 1] != none.denoised[0][:, weights == 1]).any()


def test_strength_0_is_the_picture(pipe, picture, mask):
    assert pipe.inpaint(picture, mask, "a room", strength=0).image.tobytes() == picture.tobytes()


@pytest.mark.parametrize("sampler", ["euler", "ddim", "lcm"])
@pytest.mark.parametrize(("grey", "strength"), [(0.5, 0.8), (0.25, 0.8), (0.75, 0.4)])
def test_grey_everywhere_is_that_part_of_the_strength(pipe, picture, sampler, grey, strength):
    """Exactly, where the steps come out whole and the sampler makes one call a step and remembers nothing."""
    flat = np.full((picture.height, picture.width), grey, np.float32)
    *_, soft = pipe.stream(
        "a room", masks.edit(images.read(picture), flat), strength=strength, steps=10, sampler=sampler
    )
    *_, plain = pipe.stream("a room", picture, strength=grey * strength, steps=10, sampler=sampler)
    if sampler == "lcm":  # draws noise in the steps before, so only the level is the same
        assert soft.level == plain.level
    else:
        np.testing.assert_allclose(soft.denoised, plain.denoised, atol=2e-4)


def test_grey_is_continuous_and_more_of_it_is_more_change(pipe, picture):
    source = images.read(picture)

    def latents(grey):
        flat = np.full((picture.height, picture.width), grey, np.float32)
        *_, last = pipe.stream("a room", masks.edit(source, flat), strength=0.75, steps=5, sampler="euler")
        return last.denoised

    for grey in (0.1, 0.3, 0.4, 0.66, 0.95):
        assert 0 < np.abs(latents(grey + 1e-4) - latents(grey)).max() < 0.02, grey
    *_, kept = pipe.stream("a room", picture, strength=0.001, steps=5, sampler="euler")
    change = [np.abs(latents(grey) - kept.denoised).mean() for grey in (0.05, 0.3, 0.6, 1.0)]
    assert change == sorted(change)


def test_a_white_mask_is_image_to_image(pipe, picture):
    white = Image.new("L", picture.size, 255)
    for strength in (0.3, 0.62):
        masked = pipe.inpaint(picture, white, "a room", strength=strength).image
        assert masked.tobytes() == pipe.img2img(picture, "a room", strength=strength).image.tobytes()


def test_blur_fades_inside_the_mask_only(pipe, picture, mask):
    hard, soft = (pipe.inpaint(picture, mask, "a room", strength=0.9, mask_blur=b).image for b in (0, 2))
    there, hard, soft = (np.asarray(i).astype(int) for i in (picture, hard, soft))
    assert (soft[outside(mask)] == there[outside(mask)]).all()
    assert np.abs(soft - there).sum() < np.abs(hard - there).sum()
    assert (soft[11, 17] == hard[11, 17]).all()  # in the middle


def test_alpha_and_other_modes_survive(pipe, mask):
    rng = np.random.default_rng(3)
    rgba = Image.fromarray(rng.integers(0, 256, (24, 40, 4), np.uint8), "RGBA")
    made = pipe.inpaint(rgba, mask, "a room", strength=0.5).image
    assert made.mode == "RGBA"
    assert (np.asarray(made)[outside(mask)] == np.asarray(rgba)[outside(mask)]).all()
    assert (np.asarray(made)[..., 3] == np.asarray(rgba)[..., 3]).all()


def test_only_masked_works_on_the_surroundings_at_the_model_s_size(counted, picture, mask):
    pipe, _ = counted
    edit = masks.edit(images.read(picture), mask, padding=2, size=pipe.package.size)
    left, top, right, bottom = edit.box
    assert left <= 7 and top <= 3 and right >= 28 and bottom >= 19
    assert 0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height
    assert max(edit.picture.original.size) == max(pipe.package.size)
    made = pipe.inpaint(picture, mask, "a room", only_masked=True, padding=2, strength=0.7).image
    assert made.size == picture.size
    assert (np.asarray(made)[outside(mask)] == np.asarray(picture)[outside(mask)]).all()
    assert (np.asarray(made)[~outside(mask)] != np.asarray(picture)[~outside(mask)]).any()


@pytest.mark.parametrize(
    "corner", [(slice(0, 3), slice(0, 2)), (slice(21, 24), slice(38, 40)), (slice(0, 24), slice(5, 6))]
)
@pytest.mark.parametrize("size", [(32, 32), (64, 32), (16, 48)])
def test_surroundings_hold_the_mask_and_stay_inside(corner, size):
    weights = np.zeros((24, 40), np.float32)
    weights[corner] = 1
    left, top, right, bottom = masks.surroundings(weights, 4, size)
    assert 0 <= left < right <= 40 and 0 <= top < bottom <= 24
    assert weights[top:bottom, left:right].sum() == weights.sum()


def test_plan_reads_the_picture_even_at_strength_1(pipe, picture, mask):
    run = pipe.stream("a room", masks.edit(images.read(picture), mask), strength=1)
    assert run.plan.reads_image and run.plan.calls["vae_encoder"] == 1


def test_masks_that_cannot_be(pipe, picture):
    for mask, words in (
        (Image.new("L", (10, 10), 255), "10x10 and the picture 40x24"),
        (Image.new("L", picture.size, 0), "all black"),
        (np.zeros((24, 40, 2), np.uint8), "array"),
        ("missing.png", "no such picture"),
    ):
        with pytest.raises(partway.PartwayError, match=words):
            pipe.inpaint(picture, mask, "a room")
    white = Image.new("L", picture.size, 255)
    with pytest.raises(partway.InputError, match="mask_blur"):
        pipe.inpaint(picture, white, "a room", mask_blur=-1)
    with pytest.raises(partway.InputError, match="padding"):
        pipe.inpaint(picture, white, "a room", only_masked=True, padding=-1)
