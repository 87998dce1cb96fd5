"""Weights of matrix products in 4 bits, a scale for each group of a row; arithmetic stays in float.

In groups, because a scale for a whole row of hundreds of numbers leaves most of them two or three of sixteen steps
(Dettmers and Zettlemoyer 2023, arXiv 2212.09720, section 5). Convolutions, embeddings and what the timestep goes
through are stored as int8, and so are products whose rows do not divide into groups.
"""

import numpy as np
from numpy.typing import NDArray

GROUP = 64
"""Numbers that share a scale, where a row divides into so many; half as many at the least."""

LEAST = GROUP // 2


def group(width: int) -> int | None:
    """The numbers of a row of ``width`` that share a scale; None where it does not divide into groups."""
    return next((size for size in (GROUP, LEAST) if width % size == 0), None)


def pack(values: NDArray[np.float32], size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantise (inputs, outputs) symmetrically to 4 bits, in groups of ``size`` along the inputs.

    Returns uint8 of shape (outputs, groups, size / 2), two numbers a byte, the earlier one in the low bits, 8 standing
    for zero; and float32 scales of shape (outputs, groups). The number farthest from zero is -8 times its scale.
    """
    groups = values.T.reshape(values.shape[1], -1, size)
    farthest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)
    scale = np.where(farthest == 0, np.float32(1), farthest / np.float32(-8))
    steps = (np.rint(groups / scale) + 8).clip(0, 15).astype(np.uint8)
    packed = np.bitwise_or(steps[..., ::2], np.left_shift(steps[..., 1::2], np.uint8(4)))
    return np.ascontiguousarray(packed), scale[..., 0].astype(np.float32)
