"""Rows that begin alike, computed once: guidance shows a UNet the same latents with two texts, and until it looks at
the text both rows are the same. OpenVINO does not find that by itself, for it sees two inputs of two rows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class Alike(NamedTuple):
    """An input that is given without its copies, and how many times over its rows would come."""

    name: str
    times: int

    def once(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The inputs of a network that was made to `share` it."""
        rows = inputs[self.name]
        return {**inputs, self.name: rows[: len(rows) // self.times]}


def found(inputs: Arrays) -> Alike | None:
    """Pictures or latents whose rows repeat, beside which there is something else to tell the rows apart."""
    name, array = next(((name, array) for name, array in inputs.items() if array.ndim == 4), ("", np.empty(0)))
    others = any(len(other) == len(array) for key, other in inputs.items() if key != name and other.ndim)
    times = copies(array) if others else 1
    return Alike(name, times) if times > 1 else None


def copies(array: NDArray[Any]) -> int:
    """How many times over the rows come: 2 for a, b, a, b; 1 where they do not repeat."""
    rows = len(array)
    for count in range(rows, 1, -1):
        if rows % count == 0 and (array.reshape(count, -1) == array[: rows // count].reshape(-1)).all():
            return count
    return 1


def share(model: Any, name: str, count: int) -> Any | None:
    """An OpenVINO model of fixed sizes as one that is given the input ``name`` without its copies, 1 / ``count`` of it.

    What depends on that input and on no other of as many rows is taken from a model of fewer rows and repeated where
    the rest needs it. None, and ``model`` does what it did, where the two models' layers do not correspond by name.
    """
    from openvino import Model, opset13

    few = _few(model, name, count)
    twins: dict[str, Any] = {node.get_friendly_name(): node for node in few.get_ordered_ops()}
    early = _early(model, name)
    joins = [
        (output, target)
        for node in model.get_ordered_ops()
        if node.get_friendly_name() in early
        for output in node.outputs()
        for target in output.get_target_inputs()
        if target.get_node().get_friendly_name() not in early
    ]
    repeated = []
    for output, target in joins:
        twin = twins.get(output.get_node().get_friendly_name())
        fewer = None if twin is None else twin.output(output.get_index())
        if fewer is None or not len(fewer.shape) or fewer.shape[0] * count != output.shape[0]:
            return None
        repeated.append((target, opset13.concat([fewer] * count, 0).output(0)))
    for target, whole in repeated:
        target.replace_source_output(whole)
    parameters = []
    for port in model.inputs:
        own, other = port.get_node(), twins[port.get_node().get_friendly_name()]
        if port.get_any_name() != name:
            other.output(0).replace(own.output(0))
        parameters.append(other if port.get_any_name() == name else own)
    return Model(model.get_results(), parameters)


def _few(model: Any, name: str, count: int) -> Any:
    """The model of fewer rows. In both, what layers ask of others, sizes and types, becomes constant; sizes differ."""
    from openvino import opset13

    rows = model.input(name).shape[0]
    few = model.clone()
    few.reshape(
        {
            port.get_any_name(): [rows // count, *port.shape[1:]] if _as_many(port, rows) else list(port.shape)
            for port in model.inputs
        }
    )
    for one in (model, few):
        for node in one.get_ordered_ops():
            if node.get_type_name() == "ShapeOf":
                size = np.array(node.get_input_shape(0), node.get_element_type().to_dtype())
                node.output(0).replace(opset13.constant(size).output(0))
            elif node.get_type_name() == "ConvertLike":
                number = opset13.convert(node.input_value(0), node.get_element_type().to_dtype())
                node.output(0).replace(number.output(0))
    return few


def _early(model: Any, name: str) -> set[str]:
    """Names of the layers that depend on the input and on no other of as many rows; results are never among them."""
    rows = model.input(name).shape[0]
    early: set[str] = set()
    late: set[str] = set()
    for node in model.get_ordered_ops():
        kind, own = node.get_type_name(), node.get_friendly_name()
        before = {value.get_node().get_friendly_name() for value in node.input_values()}
        if kind == "Parameter":
            port = node.output(0)
            if name in port.get_names():
                early.add(own)
            elif _as_many(port, rows):
                late.add(own)
        elif before & late or (before & early and kind == "Result"):
            late.add(own)
        elif before & early:
            early.add(own)
    return early


def _as_many(port: Any, rows: int) -> bool:
    return len(port.shape) > 1 and port.shape[0] == rows
