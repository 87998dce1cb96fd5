"""Convolutions of pictures enlarged by nearest neighbour, in 4/9 of the multiplications; OpenVINO does not do that.

Where every pixel stands twice in either direction, a kernel of 3x3 meets 2x2 different pixels, and its columns and rows
that meet the same pixel can be added beforehand. Which those are depends on whether the output's row and column are
even or odd, so there are four kernels of 2x2, each for a quarter of the output (sub-pixel convolution, Shi et al. 2016,
arXiv 1609.05158). Same sums, in another order.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines.rewrites.graph import matches, replace_plain

_DOUBLED = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def split_enlarged(model: Any) -> int:
    """Rewrite such convolutions of an OpenVINO model where sizes are known; return how many there were."""
    return replace_plain(model, lambda node: _doubles(node.input_value(0).get_node()), _four)


def _doubles(node: Any) -> bool:
    """Whether the node repeats every pixel of pictures (B, C, H, W), of numbers that are not quantised."""
    if node.get_type_name() != "Interpolate" or not matches(node, _DOUBLED):
        return False
    before, after = node.input_value(0).get_partial_shape(), node.output(0).get_partial_shape()
    if before.is_dynamic or after.is_dynamic or node.input_value(0).get_node().get_type_name() == "FakeQuantize":
        return False
    batch, channels, height, width = before.to_shape()
    return list(after.to_shape()) == [batch, channels, 2 * height, 2 * width]


def _four(enlarged: Any, weights: NDArray[np.float32], name: str) -> Any:
    """The output of a convolution with ``weights`` (out, in, 3, 3) of a picture (B, C, 2H, 2W) that was enlarged."""
    from openvino import opset13

    picture = enlarged.get_node().input_value(0)
    parts = [
        opset13.convolution(
            picture, _added(_added(weights, 2, row), 3, column), [1, 1], [1 - row, 1 - column], [row, column], [1, 1]
        )
        for row, column in product((0, 1), repeat=2)
    ]
    joined = opset13.depth_to_space(opset13.concat(parts, 1), "blocks_first", 2)
    joined.set_friendly_name(name)
    return joined.output(0)


def _added(weights: NDArray[np.float32], axis: int, odd: int) -> NDArray[np.float32]:
    """A kernel's three rows (axis 2) or columns (axis 3) added up to two, for even or ``odd`` ones of the output."""
    first, middle, last = np.split(weights, 3, axis)
    pair = [first + middle, last] if odd else [first, middle + last]
    return np.ascontiguousarray(np.concatenate(pair, axis))
