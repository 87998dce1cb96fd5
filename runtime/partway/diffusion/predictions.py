"""Prediction types: how a network's output becomes an estimate of the clean latents x0.

Each is a record of two functions in the variable ``x = x0 + sigma * noise``; to add one, add a row of `PREDICTIONS`.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.levels import NoiseLevel

Array = NDArray[np.float32]


class Prediction(NamedTuple):
    """``scale``: sigma -> factor on the network's input. ``denoised``: (x, output, level) -> estimate of x0."""

    scale: Callable[[float], float]
    denoised: Callable[[Array, Array, NoiseLevel], Array]


def _preserving_variance(sigma: float) -> float:
    return 1 / sqrt(sigma * sigma + 1)


def _epsilon(x: Array, output: Array, level: NoiseLevel) -> Array:
    return x - level.sigma * output


def _v(x: Array, output: Array, level: NoiseLevel) -> Array:
    """Salimans & Ho 2022, arXiv 2202.00512: the output is sqrt(a) * noise - sqrt(1 - a) * x0."""
    scale = _preserving_variance(level.sigma)
    return (scale * scale) * x - (level.sigma * scale) * output


def _sample(x: Array, output: Array, level: NoiseLevel) -> Array:
    return output


def _flow(x: Array, output: Array, level: NoiseLevel) -> Array:
    """Rectified flow, (1 - s) * x0 + s * noise with sigma = s / (1 - s); the output is noise - x0."""
    scale = 1 / (1 + level.sigma)
    return scale * x - (level.sigma * scale) * output


# Keys are diffusers' words for `prediction_type`.
PREDICTIONS: dict[str, Prediction] = {
    "epsilon": Prediction(_preserving_variance, _epsilon),
    "v_prediction": Prediction(_preserving_variance, _v),
    "sample": Prediction(_preserving_variance, _sample),
    "flow_prediction": Prediction(lambda sigma: 1 / (1 + sigma), _flow),
}
