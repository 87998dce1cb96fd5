"""How weights are stored: as float32, or in 16, 8 or 4 bits; arithmetic stays float32, or what the engine is asked for.

fp16: float16, and float32 where that does not reach. int8: one symmetric scale for each output channel, of what is a
convolution or a matrix product, and fp16 for the rest. int4: the UNet's matrix products as `partway_export.four_bits`
packs them, the rest as int8. Small weights stay as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from partway.building.network import Network
from partway.engines.weights import Source, Weight
from partway_export.families import INT4, W8A8
from partway_export.four_bits import group, pack

LARGE = 1024
"""Weights of fewer numbers are biases and scales: nothing to gain there."""

PRODUCT, ROWS, KERNEL, OTHER = "product", "rows", "kernel", "other"
"""What a network does with a weight: multiplies tokens, or rows, with it (out, in), convolves, or anything else."""

_USES = {"FusedMatMul": PRODUCT, "Gemm": ROWS, "Conv": KERNEL}
_TYPES = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8"}
_ALIGNED = 64  # bytes, so that engines need not copy what they map

Floats = NDArray[np.float32]


class Data:
    """A file of weights that is written one after the other; it is closed when the block ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def put(self, values: NDArray[Any]) -> Weight:
        """Append an array, and say where it lies."""
        self._file.write(bytes(-self._file.tell() % _ALIGNED))
        place = Weight(Source(self.path, 0, 0), _TYPES[values.dtype.name], values.shape, self._file.tell())
        self._file.write(np.ascontiguousarray(values).data)
        return place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Quantised(NamedTuple):
    """int8 values and float32 scales along ``axis``: ``values * scale`` is nearly the original."""

    values: NDArray[np.int8]
    scale: Floats
    axis: int


def quantise(values: Floats, axis: int) -> Quantised:
    """Quantise symmetrically to -127..127 with one scale per index of ``axis``."""
    others = tuple(index for index in range(values.ndim) if index != axis)
    peak = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    rounded = np.rint(values / scale).clip(-127, 127).astype(np.int8)
    return Quantised(rounded, scale.reshape(-1), axis)


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix (out, in) in 4 bits: `partway_export.four_bits.pack`'s numbers and scales, ``size`` numbers a scale."""

    values: NDArray[np.uint8]
    scale: Floats
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's own."""
        return self.values.shape[0], self.values.shape[1] * self.size


Form = NDArray[Any] | Quantised | Packed
"""Numbers as they are stored."""


def uses(network: Network) -> dict[str, str]:
    """What the network does with each of its weights; `OTHER` where it does several things."""
    found: dict[str, str] = {}
    for node in network.nodes:
        for index, name in enumerate(node.inputs):
            if name in network.weights:
                use = _USES.get(node.kind, OTHER) if index == 1 else OTHER
                found[name] = use if found.get(name, use) == use else OTHER
    return found


def form(values: Floats, use: str, weights: str) -> Form:
    """Numbers as a package of ``weights`` ("fp32", "fp16", "int8" or "int4") stores them."""
    if values.size < LARGE or weights == "fp32":
        return values
    if weights == INT4 and use == PRODUCT and (size := group(values.shape[1])):
        return Packed(*pack(values.T, size), size)
    if weights != "fp16" and use != OTHER:
        return quantise(values, 0)
    return values.astype(np.float16) if np.abs(values).max() <= np.finfo(np.float16).max else values


def bytes_on_disk(networks: Iterable[Network], weights: str) -> int:
    """The disk space that a package takes, and as much again, for what is written on the way."""
    width = {"fp32": 4, "fp16": 2, W8A8: 4}.get(weights, 1)
    return 2 * width * sum(prod(one.shape) for network in networks for one in network.weights.values())
