"""What pipelines are compared on, and what counts as the same picture."""

from functools import cache

import numpy as np
from PIL import Image


@cache
def source(width: int = 96, height: int = 64) -> Image.Image:
    """A picture with structure at several scales."""
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 90 * rgb + np.random.default_rng(0).normal(0, 12, rgb.shape)))


@cache
def mask(width: int = 96, height: int = 64) -> Image.Image:
    """A rectangle on the grid of latents."""
    inside = np.zeros((height, width), np.uint8)
    inside[16:48, 24:72] = 255
    return Image.fromarray(inside)


def assert_same(made: list, expected: list, where=...) -> None:
    """At least 50 dB, picture by picture; ``where`` picks the pixels that count."""
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        one, other = np.asarray(one, float), np.asarray(other, float)
        assert one.shape == other.shape
        assert other.std() > 10, "the reference picture is flat and proves nothing"
        error = np.mean((one[where] - other[where]) ** 2)
        assert error == 0 or 10 * np.log10(255**2 / error) >= 50, 10 * np.log10(255**2 / error)
