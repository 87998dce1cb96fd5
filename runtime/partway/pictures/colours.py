"""How far a picture's colours are from its source's, and how to match them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Drift(NamedTuple):
    """Distance of a result's mean colour from its source's, in 8-bit levels, averaged over red, green and blue."""

    before: float  # as the model made it
    after: float  # after `colour_match`; without it the same


def matched(pixels: Array, source: Array, share: float) -> Array:
    """Pixels (B, 3, H, W), each channel's mean and standard deviation moved by ``share`` (0 .. 1) to the source's.

    The source is (1, 3, H, W). At 1 both are the source's (Reinhard et al. 2001, "Color transfer between images", in
    RGB), except for values that then lie outside [-1, 1].
    """
    pixels = np.clip(pixels, -1, 1)
    mean, spread = pixels.mean(axis=(2, 3), keepdims=True), pixels.std(axis=(2, 3), keepdims=True)
    source_mean, source_spread = source.mean(axis=(2, 3), keepdims=True), source.std(axis=(2, 3), keepdims=True)
    target = source_mean + (pixels - mean) * (source_spread / np.maximum(spread, np.float32(1e-6)))
    return pixels + share * (target - pixels)


def drift(pixels: Array, source: Array) -> list[float]:
    """Distance of each picture's mean colour from the source's in 8-bit levels; arrays as in `matched`."""
    difference = np.clip(pixels, -1, 1).mean(axis=(2, 3)) - source.mean(axis=(2, 3))
    return [float(one) for one in 127.5 * np.abs(difference).mean(axis=1)]
