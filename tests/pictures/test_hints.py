"""What is made of a picture for a network that it guides."""

import numpy as np
import pytest
from PIL import Image

from partway.controls import KINDS, Control, chosen, parsed
from partway.errors import InputError
from partway.pictures import images
from partway.pictures.hints import MAKERS, MASKED, hint, sized


def squares(size=(64, 48)):
    """A white square on black, and a soft slope beside it."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[12:36, 8:24] = 255
    pixels[:, 40:] = np.linspace(0, 60, 24, dtype=np.uint8)[:, None]
    return Image.fromarray(pixels).resize(size)


def test_every_kind_has_a_maker():
    assert MAKERS.keys() == KINDS.keys()


def test_canny_draws_the_square_and_no_slope():
    lines = hint("canny", squares())[0]
    assert set(np.unique(lines)) == {0, 1} and (lines[0] == lines[1]).all() and (lines[0] == lines[2]).all()
    assert not lines[0, 16:32, 10:22].any() and not lines[0, :, 42:].any()  # inside of it, and on the slope
    assert lines[0, 16:32, 6:10].any(axis=1).all() and lines[0, 10:14, 12:20].any(axis=0).all()


def test_the_others():
    picture = squares()
    unit = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    assert np.array_equal(hint("ready", picture), unit)
    assert np.abs(hint("invert", picture) - (1 - unit)).max() < 1e-6
    for kind in ("blur", "tile"):
        made = hint(kind, picture)
        assert made.shape == unit.shape and abs(made.mean() - unit.mean()) < 0.02
        assert np.abs(np.diff(made, axis=3)).max() < 0.7 < np.abs(np.diff(unit, axis=3)).max()


def test_a_mask_is_marked_where_it_is_above_a_half():
    mask = np.zeros((1, 1, 48, 64), np.float32)
    mask[..., :20, :], mask[..., 20:, :] = 0.6, 0.5
    made = hint("mask", squares(), mask)
    assert (made[:, :, :20] == MASKED).all() and (made[:, :, 20:] >= 0).all()


def test_another_size_of_the_same_proportions_is_resized():
    assert sized(images.read(squares((32, 24))), (64, 48)).size == (64, 48)
    assert sized(images.read(squares((100, 75))), (127, 96)).size == (127, 96)  # but for rounding
    with pytest.raises(InputError, match="64x64 and the run's 64x48"):
        sized(images.read(squares((64, 64))), (64, 48))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("canny", {"kind": "canny", "picture": None, "scale": 1.0}),
        ("canny:room.jpg", {"kind": "canny", "picture": "room.jpg", "scale": 1.0}),
        ("canny:0.5", {"kind": "canny", "picture": None, "scale": 0.5}),
        ("ready:a b:c.png:2", {"kind": "ready", "picture": "a b:c.png", "scale": 2.0}),
        ("tile:C:\\room.png", {"kind": "tile", "picture": "C:\\room.png", "scale": 1.0}),
    ],
)
def test_what_the_command_line_says(text, fields):
    assert parsed(text) == fields


@pytest.mark.parametrize("text", ["cany", "", "canny:a.png:-1", "canny:a.png:11", "canny::1"])
def test_what_it_cannot_say(text):
    with pytest.raises(InputError):
        parsed(text)


def test_steps_count_as_in_diffusers():
    control = Control("net.safetensors", start=0.2, end=0.6)
    assert [control.counts(step, 5) for step in range(5)] == [False, True, True, False, False]
    assert all(Control("net.safetensors").counts(step, 3) for step in range(3))


def test_controls_are_checked():
    assert chosen(None) == () and len(chosen(Control("a"))) == 1
    assert chosen([{"network": "a", "kind": "canny"}])[0].kind == "canny"
    for wrong in ("a", [1], [{"kind": "canny"}], [Control("a")] * 9):
        with pytest.raises(InputError):
            chosen(wrong)
    for fields in ({"kind": "x"}, {"scale": -1}, {"start": 1.0}, {"guess_mode": 1}, {"start": 0.5, "end": 0.5}):
        with pytest.raises(InputError):
            Control("a", **fields)
