"""What repeated arrays of a batch have in common, computed once.

Guidance shows a UNet the same latents with two texts, and until it looks at the text both predictions are the same.
OpenVINO does not find that by itself, for it sees an input of two arrays.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines.rewrites.graph import marked

Arrays = Mapping[str, NDArray[Any]]


class Alike(NamedTuple):
    """An input whose batch is the same arrays ``times`` over."""

    name: str
    times: int

    def once(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The inputs of a model that `share` made: this one without its copies."""
        array = inputs[self.name]
        return {**inputs, self.name: array[: len(array) // self.times]}


def find_alike(inputs: Arrays) -> Alike | None:
    """Pictures or latents whose batch repeats, where another input of that batch may tell the copies apart."""
    name, array = next(((name, array) for name, array in inputs.items() if array.ndim == 4), ("", np.empty(0)))
    others = any(len(other) == len(array) for key, other in inputs.items() if key != name and other.ndim)
    times = copies(array) if others else 1
    return Alike(name, times) if times > 1 else None


def copies(array: NDArray[Any]) -> int:
    """How many times over a batch comes: 2 for a, b, a, b; 1 where it does not repeat."""
    size = len(array)
    for count in range(size, 1, -1):
        if size % count == 0 and (array.reshape(count, -1) == array[: size // count].reshape(-1)).all():
            return count
    return 1


def share(model: Any, name: str, count: int) -> Any | None:
    """An OpenVINO model of fixed sizes as one that takes the input ``name`` without its copies, 1 / ``count`` of it.

    What depends on that input and on no other of its batch size is taken from a model of the smaller batch, and
    repeated where the rest needs it. None, and ``model`` does what it did, where the two models' layers do not
    correspond by name.
    """
    from openvino import Model, opset13

    few = _smaller(model, name, count)
    twins: dict[str, Any] = {node.get_friendly_name(): node for node in few.get_ordered_ops()}
    repeated = []
    for output, target in _joins(model, name):
        twin = twins.get(output.get_node().get_friendly_name())
        smaller = None if twin is None else twin.output(output.get_index())
        if smaller is None or not len(smaller.shape) or smaller.shape[0] * count != output.shape[0]:
            return None
        repeated.append((target, opset13.concat([smaller] * count, 0).output(0)))
    for target, batch in repeated:
        target.replace_source_output(batch)
    parameters = []
    for port in model.inputs:
        own, other = port.get_node(), twins[port.get_node().get_friendly_name()]
        if port.get_any_name() != name:
            other.output(0).replace(own.output(0))
        parameters.append(other if port.get_any_name() == name else own)
    return Model(model.get_results(), parameters)


def _smaller(model: Any, name: str, count: int) -> Any:
    """The model with a batch of 1 / ``count``. In both, sizes and types that layers ask others for become constants."""
    from openvino import opset13

    size = model.input(name).shape[0]
    few = model.clone()
    few.reshape(
        {
            port.get_any_name(): [size // count, *port.shape[1:]] if _has_batch(port, size) else list(port.shape)
            for port in model.inputs
        }
    )
    for one in (model, few):
        for node in one.get_ordered_ops():
            if node.get_type_name() == "ShapeOf":
                shape = np.array(node.get_input_shape(0), node.get_element_type().to_dtype())
                node.output(0).replace(opset13.constant(shape).output(0))
            elif node.get_type_name() == "ConvertLike":
                number = opset13.convert(node.input_value(0), node.get_element_type().to_dtype())
                node.output(0).replace(number.output(0))
    return few


def _joins(model: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """Where layers that depend on the input alone meet the rest: an output of theirs, and the input that reads it."""
    size = model.input(name).shape[0]

    def mark(node: Any, before: Sequence[bool | None]) -> bool | None:
        """True for what depends on the input alone, False on another of its batch size too, None on neither."""
        kind = node.get_type_name()
        if kind == "Parameter":
            port = node.output(0)
            if name in port.get_names():
                return True
            return False if _has_batch(port, size) else None
        if False in before or (True in before and kind == "Result"):
            return False
        return True if True in before else None

    nodes = marked(model, mark)
    early = {node.get_name() for node, alone in nodes if alone}
    for node, alone in nodes:
        for output in node.outputs() if alone else ():
            for target in output.get_target_inputs():
                if target.get_node().get_name() not in early:
                    yield output, target


def _has_batch(port: Any, size: int) -> bool:
    return len(port.shape) > 1 and port.shape[0] == size
