"""Outpainting: the canvas, what is kept, what it starts from."""

import numpy as np
import pytest
from PIL import Image

import partway
from partway.pictures import images, outpaint


@pytest.mark.parametrize("sides", [(8, 0, 0, 0), (0, 9, 0, 3), (5, 6, 7, 13), (0, 0, 100, 0)])
def test_the_picture_lies_in_its_place_and_is_kept(pipe, picture, sides):
    left, top, right, bottom = sides
    named = dict(zip(("left", "top", "right", "bottom"), sides, strict=True))
    made = pipe.outpaint(picture, "a room", strength=0.9, steps=4, feather=0, **named).image
    assert made.size == (picture.width + left + right, picture.height + top + bottom)
    there = np.asarray(picture)
    here = np.asarray(made)[top : top + picture.height, left : left + picture.width]
    assert (here == there).all()
    started, _ = outpaint.canvas(images.read(picture), outpaint.Margins(*sides), 0)
    assert (np.asarray(started) != np.asarray(made)).any()


def test_the_seam_is_feathered_on_sides_that_grow_only(picture):
    started, weights = outpaint.canvas(images.read(picture), outpaint.Margins(left=8), feather=4)
    assert weights.shape == (24, 48) and started.size == (48, 24)
    assert (weights[:, :8] == 1).all() and (weights[:, 12:] == 0).all()
    assert (np.diff(weights[0, 7:13]) < 0).all()
    assert (np.asarray(started)[:, 8:] == np.asarray(picture)).all()


def test_new_pixels_start_near_the_edge_s_colours():
    ramp = np.zeros((32, 32, 3), np.uint8)
    ramp[:, :, 0] = np.linspace(0, 255, 32).astype(np.uint8)
    started, _ = outpaint.canvas(images.read(Image.fromarray(ramp)), outpaint.Margins(right=16), 0)
    new = np.asarray(started).astype(int)[:, 32:]
    assert abs(new[:, 0, 0].mean() - 255) < 12
    assert new[..., 1:].max() == 0
    assert new[:, -1, 0].std() < 5  # soft far out


def test_margins_that_cannot_be(pipe, picture):
    for sides in ({}, {"left": -1}, {"right": 1.5}, {"top": 10**6}):
        with pytest.raises(partway.InputError):
            pipe.outpaint(picture, "a room", **sides)
    with pytest.raises(partway.InputError, match="feather"):
        pipe.outpaint(picture, "a room", left=8, feather=-1)
