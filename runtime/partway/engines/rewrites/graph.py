"""Walks of OpenVINO graphs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from partway.support.reach import reach

Mark = TypeVar("Mark")


def above(nodes: Iterable[Any]) -> list[Any]:
    """The nodes and all that they depend on."""
    return reach(nodes, _inputs, key=lambda node: node.get_name())


def parameters(nodes: Iterable[Any]) -> list[Any]:
    """The parameters that the nodes depend on, which a model of theirs takes."""
    return [node for node in above(nodes) if node.get_type_name() == "Parameter"]


def marked(model: Any, mark: Callable[[Any, Sequence[Mark]], Mark]) -> list[tuple[Any, Mark]]:
    """Every node in the order of computation, with its mark: ``mark`` of the node and of its inputs' marks."""
    marks: dict[str, Mark] = {}
    nodes = model.get_ordered_ops()
    for node in nodes:
        marks[node.get_name()] = mark(node, [marks[before.get_name()] for before in _inputs(node)])
    return [(node, marks[node.get_name()]) for node in nodes]


def matches(node: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether the node has these attributes, among others."""
    attributes = node.get_attributes()
    return all(attributes.get(name) == value for name, value in wanted.items())


def is_plain(node: Any) -> bool:
    """Whether it is a convolution of one picture point by point, which keeps the picture's size with a kernel of 3x3.

    Not of a picture that was rounded to 8 bits, which has products of its own.
    """
    plain = {"strides": [1, 1], "dilations": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1]}
    if node.get_type_name() != "Convolution" or not matches(node, plain):
        return False
    rounded = node.input_value(0).get_node().get_type_name() == "FakeQuantize"
    kernel = node.input_value(1).get_partial_shape()
    return not rounded and kernel.is_static and list(kernel.to_shape())[2:] == [3, 3]


def replace_plain(model: Any, fits: Callable[[Any], bool], made: Callable[[Any, NDArray[np.float32], str], Any]) -> int:
    """Replace such convolutions that fit and whose kernels are known; return how many there were.

    ``fits`` is asked of a node; ``made`` gives the output that takes its place: of the picture's output, the kernels
    (out, in, 3, 3) and the node's name.
    """
    found = 0
    for node in model.get_ordered_ops():
        if not is_plain(node) or not fits(node):
            continue
        kernels = value(node.input_value(1))
        if kernels is not None:
            node.output(0).replace(made(node.input_value(0), kernels, node.get_friendly_name()))
            found += 1
    return found


def value(output: Any) -> NDArray[np.float32] | None:
    """The value of an output that depends on no parameter, as of weights in 8 bits and their scales; else None."""
    from openvino import Model, Tensor

    try:
        constant = Model([output], [])
    except RuntimeError:  # it has parameters
        return None
    result = Tensor(output.get_element_type(), output.get_shape())
    return np.asarray(result.data, np.float32) if constant.evaluate([result], []) else None


def _inputs(node: Any) -> list[Any]:
    return [value.get_node() for value in node.input_values()]
