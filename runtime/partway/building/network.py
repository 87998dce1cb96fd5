"""A network as it is built: nodes in the order in which they run, and the weights that they refer to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.building import onnx
from partway.engines.weights import Change, Weight

_OPSET, _OPSET_OF_FLOAT8 = 17, 19


class Node(NamedTuple):
    """An operator of ONNX, the tensors that it takes and gives by name, and its attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str
    attributes: Mapping[str, onnx.Attribute]


class Value(NamedTuple):
    """The type and the sizes of a tensor that goes in or comes out; sizes with a name may be any."""

    dtype: str
    dims: tuple[int | str, ...]


class Seam(NamedTuple):
    """A place between two nodes, by how many come before it, and the values that are known there, by name."""

    place: int
    values: Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Network:
    """A network that an engine can open.

    weights  what the nodes take from files, in float32 whatever it is stored in
    seams    where it may be cut, in order (`partway.building.parts`)
    changes  what is computed in place of some of the weights
    """

    nodes: Sequence[Node]
    constants: Mapping[str, NDArray[np.generic]]
    weights: Mapping[str, Weight]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    seams: Sequence[Seam] = ()
    changes: Mapping[str, Change] = field(default_factory=dict)

    def changed(self, changes: Mapping[str, Change]) -> "Network":
        """The network with those of the changes that are of its weights."""
        return replace(self, changes={name: one for name, one in changes.items() if name in self.weights})

    def with_files(self) -> bytes:
        """The ONNX model with weights as external data, each in a file that is named without its folder."""
        weights = {
            name: weight._replace(dtype="F32") if name in self.changes else weight
            for name, weight in self.weights.items()
        }  # what is computed is given to the engine under its name
        wide = {name: weight for name, weight in weights.items() if weight.dtype != "F32"}
        casts = [onnx.node("Cast", [_stored(name)], [name], "", {"to": onnx.TYPES["F32"]}) for name in wide]
        named = {_stored(name) if name in wide else name: weight for name, weight in weights.items()}
        return self._model(casts, [onnx.external(name, weight) for name, weight in named.items()], [])

    def with_inputs(self) -> bytes:
        """The ONNX model with weights as further inputs, in float32."""
        return self._model([], [], [onnx.value(name, "F32", weight.shape) for name, weight in self.weights.items()])

    def _model(self, casts: list[bytes], tensors: list[bytes], inputs: list[bytes]) -> bytes:
        float8 = any(weight.dtype.startswith("F8") for weight in self.weights.values())
        return onnx.model(
            casts + [onnx.node(*node) for node in self.nodes],
            tensors + [onnx.constant(name, array) for name, array in self.constants.items()],
            [onnx.value(name, *value) for name, value in self.inputs.items()] + inputs,
            [onnx.value(name, *value) for name, value in self.outputs.items()],
            opset=_OPSET_OF_FLOAT8 if float8 else _OPSET,
        )


def _stored(name: str) -> str:
    return f"{name}/stored"
