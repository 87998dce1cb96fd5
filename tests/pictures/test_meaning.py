"""Masks mean what their maker meant, and one that lets next to nothing change says so."""

import warnings

import numpy as np
import pytest
from PIL import Image

import partway
from partway import InputError, PartwayWarning
from partway.pictures import images, masks, meaning

HALF = np.zeros((24, 40), np.uint8)
HALF[:, :20] = 255
LEFT = Image.fromarray(HALF)


def layered(colours, alpha):
    colours = Image.new("RGB", (40, 24), colours) if isinstance(colours, str) else colours.convert("RGB")
    colours.putalpha(Image.fromarray(alpha))
    return colours


@pytest.mark.parametrize("colours", ["white", "black", "red", Image.effect_noise((40, 24), 90)])
def test_transparency_marks_and_its_colours_do_not_count(colours):
    weights, remark = meaning.read(layered(colours, 255 - HALF))
    np.testing.assert_array_equal(weights, HALF / 255)
    assert "transparen" in remark
    part = meaning.read(layered(colours, np.full_like(HALF, 204))).weights
    np.testing.assert_allclose(part, 0.2, atol=1e-6)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "La", "RGBa"])
def test_every_kind_of_transparency_counts(mode):
    by_way_of = {"La": "LA", "RGBa": "RGBA"}
    made = layered("white", 255 - HALF).convert(by_way_of.get(mode, mode)).convert(mode)
    np.testing.assert_array_equal(meaning.read(made).weights, HALF / 255)


def test_opaque_pictures_mark_by_brightness():
    for mask in (
        LEFT,
        LEFT.convert("RGB"),
        layered(LEFT, np.full_like(HALF, 255)),
        layered(LEFT, np.full_like(HALF, 252)),
    ):
        assert not meaning.read(mask).remark
        np.testing.assert_allclose(meaning.read(mask).weights, HALF / 255)


@pytest.mark.parametrize(
    "labels",
    [
        HALF // 255,
        HALF > 0,
        (HALF // 255).astype(np.int64),
        (HALF // 127).astype(np.uint8),
        HALF.astype(np.int32),
        HALF[..., None],
        Image.fromarray((HALF > 0).astype(np.uint8)),
        Image.fromarray(HALF.astype(np.uint16)),
        Image.fromarray(HALF > 0),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', getattr(labels, 'mode', ''))}",
)
def test_labels_and_truths_are_black_and_white(labels):
    np.testing.assert_array_equal(meaning.read(labels).weights, HALF / 255)


def test_what_was_read_is_a_remark_and_a_warning(pipe, picture):
    mask = layered("white", 255 - HALF)
    with pytest.warns(PartwayWarning, match="transparent changes"):
        edit = masks.edit(images.read(picture), mask)
    assert edit.remarks == ("the mask has transparency: what is transparent changes, and its colours do not count",)
    with pytest.warns(PartwayWarning, match="transparent changes"):
        made = pipe.inpaint(picture, mask, "a", strength=0.8, steps=2).image
    assert (np.asarray(made)[:, 20:] == np.asarray(picture)[:, 20:]).all()
    assert (np.asarray(made)[:, :20] != np.asarray(picture)[:, :20]).any()


@pytest.mark.parametrize(
    ("mask", "options", "words"),
    [
        (HALF // 25, {}, "the brightest of the mask is 3.9 % of white"),
        (Image.new("RGB", (40, 24), "red"), {}, "the brightest of the mask is 33.3 % of white"),
        (np.pad(np.full((2, 2), 255, np.uint8), ((9, 13), (9, 29))), {}, "marks 4 of 960 pixels"),
        (np.pad(np.full((12, 12), 255, np.uint8), ((6, 6), (14, 14))), {"blur": 5}, "nearly as wide as the mask"),
    ],
)
def test_a_mask_that_changes_almost_nothing_is_told(picture, mask, options, words):
    with pytest.warns(PartwayWarning, match=words):
        masks.edit(images.read(picture), mask, **options)


def test_a_mask_in_what_is_transparent_changes_nothing_that_shows(picture):
    with pytest.warns(PartwayWarning, match="transparent in the picture, and stays so"):
        masks.edit(images.read(layered(picture, 255 - HALF)), LEFT)


def test_a_mask_that_changes_nothing_is_refused(pipe, picture):
    small = np.pad(np.full((4, 4), 255, np.uint8), ((10, 10), (18, 18)))
    with pytest.raises(InputError, match="mask_blur 40 is wider than the mask, so nothing would change"):
        pipe.inpaint(picture, small, "a", mask_blur=40)


def test_a_plain_mask_is_no_remark(picture):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert masks.edit(images.read(picture), LEFT).remarks == ()


def test_an_inpainting_model_reads_no_dark_masks(tmp_path, picture):
    import toy

    pipe = partway.load(toy.build(tmp_path / "toy", inpaint=True))
    with pytest.warns(PartwayWarning), pytest.raises(InputError, match="reads masks as black and white"):
        pipe.inpaint(picture, np.full((24, 40), 0.4, np.float32), "a", steps=2)
