"""Convolutions of 3x3 in a quarter of the multiplications (Winograd 1980; Lavin and Gray 2016, arXiv 1509.09308).

The output is made in tiles of 4x4. A tile depends on 6x6 pixels; these, and the kernel, are transformed so that 36
products give the 16 sums of nine products each, and the products of all channels and tiles are 36 products of
matrices, at which processors are quickest. In float32 the results differ by about a hundred thousandth of the largest.
OpenVINO's own convolutions do not do so on x86. On two cores with AVX2 they take 1.6 to 2.4 times as long.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines.rewrites.graph import replace_plain

TILE, REACH = 4, 6
# For interpolation at 0, 1, -1, 2, -2 and infinity.
_PICTURE = np.array(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], float,
)  # fmt: skip
_KERNEL = np.array(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], float,
) / 24  # fmt: skip
_TILE = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float,
)  # fmt: skip
_WIDTH = 80  # channels in and out, as resistors in parallel, from which fewer products outweigh the transforms
_STRIP = 50_000_000  # bytes of a strip's transform: more take more memory, fewer make a larger graph


def fewer_products(model: Any) -> int:
    """Rewrite such convolutions of an OpenVINO model where it is worth it and sizes are known; return how many."""
    return replace_plain(model, _worth_it, _tiled)


def worth_it(outputs: int, inputs: int, height: int, width: int) -> bool:
    """Whether a convolution from so many channels to so many is quicker so, and takes little more memory.

    Transformed kernels are four times the kernels; they may have no more numbers than the pictures before and after.
    """
    whole = height % TILE == 0 and width % TILE == 0
    wide = inputs * outputs >= _WIDTH * (inputs + outputs)
    return whole and wide and REACH**2 * inputs * outputs <= height * width * (inputs + outputs)


def _worth_it(node: Any) -> bool:
    shape = node.input_value(0).get_partial_shape()
    if shape.is_dynamic or node.input_value(0).get_element_type().get_type_name() != "f32":
        return False
    _, inputs, height, width = shape.to_shape()
    return worth_it(list(node.output(0).get_shape())[1], inputs, height, width)


def _tiled(picture: Any, kernels: NDArray[np.float32], name: str) -> Any:
    """The output of a convolution with ``kernels`` (out, in, 3, 3) of the ``picture`` (B, in, H, W)."""
    from openvino import opset13 as ops

    matrices = ops.constant(_transformed(kernels)[None], shared_memory=True)
    to_products = ops.constant(_square(_PICTURE)[:, None])
    to_tile = ops.constant(_square(_TILE).reshape(1, TILE**2, REACH**2))
    strips = [_strip(picture, to_products, matrices, to_tile, *rows) for rows in _strips(list(picture.get_shape()))]
    joined = ops.concat(strips, 2) if len(strips) > 1 else strips[0]
    joined.set_friendly_name(name)
    return joined.output(0)


def _strips(shape: Sequence[int]) -> list[tuple[int, int]]:
    """First rows, and those after the last, of strips of a picture whose transforms take little memory."""
    batch, inputs, height, width = shape
    row = 4 * batch * inputs * width * REACH**2 // TILE  # bytes of the transform of a row of tiles
    step = TILE * max(1, _STRIP // row)
    return [(first, min(first + step, height)) for first in range(0, height, step)]


def _strip(picture: Any, to_products: Any, matrices: Any, to_tile: Any, first: int, end: int) -> Any:
    """Rows of the output, of rows of the picture and one more at either side, where there is one."""
    from openvino import opset13 as ops

    batch, inputs, height, width = picture.get_shape()
    _, products, outputs, _ = matrices.get_output_shape(0)
    rows, columns = (end - first) // TILE, width // TILE
    above, below = int(first > 0), int(end < height)
    seen = ops.slice(picture, [first - above], [end + below], [1], [2]) if above or below else picture
    seen = ops.reshape(seen, [batch * inputs, 1, end - first + above + below, width], special_zero=False)
    step, pads = [TILE, TILE], ([1 - above, 1], [1 - below, 1])
    seen = ops.convolution(seen, to_products, step, *pads, [1, 1])
    seen = ops.reshape(seen, [batch, inputs, products, rows * columns], special_zero=False)
    met = ops.matmul(matrices, ops.transpose(seen, [0, 2, 1, 3]), False, False)
    met = ops.reshape(met, [batch, products, outputs * rows * columns], special_zero=False)
    made = ops.matmul(to_tile, met, False, False)
    made = ops.reshape(made, [batch, TILE**2 * outputs, rows, columns], special_zero=False)
    return ops.depth_to_space(made, "blocks_first", TILE)


def _square(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """A transform of both axes: (M, N) to (M * M, N, N)."""
    rows, columns = matrix.shape
    both = np.einsum("ia,jb->ijab", matrix, matrix).reshape(rows * rows, columns, columns)
    return np.ascontiguousarray(both, np.float32)


def _transformed(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kernels (out, in, 3, 3) as the matrices (36, out, in) that transformed pictures are multiplied by."""
    outputs, inputs = kernels.shape[:2]
    both = np.einsum("ia,jb->ijab", _KERNEL, _KERNEL).reshape(REACH**2, 9).astype(np.float32)
    return (both @ kernels.reshape(-1, 9).T).reshape(REACH**2, outputs, inputs)
