"""Guidance: functions of a network's outputs, each (B, C, h, w), that give the one output a sampler works with."""

from math import log

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def guided(unconditional: Array, conditional: Array, scale: float, rescale: float = 0.0) -> Array:
    """Ho & Salimans 2022 (arXiv 2207.12598), then `rescaled` towards the conditional output."""
    return rescaled(unconditional + scale * (conditional - unconditional), conditional, rescale)


def instructed(blind: Array, seeing: Array, told: Array, scale: float, image_scale: float) -> Array:
    """Brooks et al. 2023 (arXiv 2211.09800, equation 3): towards the picture, and from there to the instruction.

    blind: neither picture nor instruction; seeing: the picture alone; told: both.
    """
    return blind + image_scale * (seeing - blind) + scale * (told - seeing)


def rescaled(output: Array, conditional: Array, share: float) -> Array:
    """Lin et al. 2023 (arXiv 2305.08891, section 3.4): each picture's deviation moved a share of the way, 0 .. 1."""
    if not share:
        return output
    axes = tuple(range(1, output.ndim))
    ratio = conditional.std(axis=axes, keepdims=True) / output.std(axis=axes, keepdims=True)
    return output * (share * ratio + (1 - share))


def embedding(scale: float, width: int) -> Array:
    """What a network distilled with guidance takes for it, (1, width): sines and cosines of 1000 (scale - 1).

    Luo et al. 2023 (arXiv 2310.04378, section 4.2), whose own scale counts from 0.
    """
    half = width // 2
    rates = np.exp(np.arange(half) * (-log(10000) / max(half - 1, 1))).astype(np.float32)
    angles = np.float32(1000 * (scale - 1)) * rates
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])[None]
