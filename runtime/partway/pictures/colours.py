"""How far a picture's colours drifted from its source's, and the way back."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Drift(NamedTuple):
    """Distance of a result's mean colour from its source's, in 8-bit levels, averaged over red, green and blue."""

    before: float  # as the model left it
    after: float  # once `colour_match` has pulled it back; the same without


def matched(pixels: Array, source: Array, share: float) -> Array:
    """Pixels (B, 3, H, W) pulled towards the source's (1, 3, H, W) mean and spread, channel by channel.

    ``share`` in [0, 1]; at 1 both are the source's (Reinhard et al. 2001, "Color transfer between images", in RGB),
    but for values that then lie outside [-1, 1].
    """
    pixels = np.clip(pixels, -1, 1)
    mean, spread = pixels.mean(axis=(2, 3), keepdims=True), pixels.std(axis=(2, 3), keepdims=True)
    wanted, wide = source.mean(axis=(2, 3), keepdims=True), source.std(axis=(2, 3), keepdims=True)
    there = wanted + (pixels - mean) * (wide / np.maximum(spread, np.float32(1e-6)))
    return pixels + share * (there - pixels)


def drift(pixels: Array, source: Array) -> list[float]:
    """Distance of each picture's mean colour from the source's in 8-bit levels; arrays as in `matched`."""
    apart = np.clip(pixels, -1, 1).mean(axis=(2, 3)) - source.mean(axis=(2, 3))
    return [float(one) for one in 127.5 * np.abs(apart).mean(axis=1)]
