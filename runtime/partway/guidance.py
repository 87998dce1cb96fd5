"""Classifier-free guidance: functions of the unconditional and the conditional output, each (B, C, h, w)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def guided(unconditional: Array, conditional: Array, scale: float, rescale: float = 0.0) -> Array:
    """Ho & Salimans 2022 (arXiv 2207.12598), then the rescaling of Lin et al. 2023 (arXiv 2305.08891, section 3.4).

    ``rescale`` in [0, 1] moves each picture's standard deviation towards the conditional output's.
    """
    output = unconditional + scale * (conditional - unconditional)
    if rescale:
        axes = tuple(range(1, output.ndim))
        ratio = conditional.std(axis=axes, keepdims=True) / output.std(axis=axes, keepdims=True)
        output = output * (rescale * ratio + (1 - rescale))
    return output
