"""A network as it is built: nodes in the order in which they run, and the weights that they refer to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.building import onnx
from partway.engines.weights import Change, Weight

_OPSET, _OPSET_OF_FLOAT8 = 17, 19
_WIDENED = ("F16", "BF16", "F8_E4M3", "F8_E5M2")


class Node(NamedTuple):
    """An operator of ONNX, the tensors that it takes and gives by name, its attributes, and a name of its own."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str
    attributes: Mapping[str, onnx.Attribute]
    name: str = ""


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

    weights  what the nodes take from files: decimals in float32 whatever they are stored in, whole numbers as they are
    seams    where it may be cut, in order (`partway.building.parts`)
    changes  weights that are computed
    """

    nodes: Sequence[Node]
    constants: Mapping[str, NDArray[np.generic]]
    weights: Mapping[str, Weight]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    seams: Sequence[Seam] = ()
    changes: Mapping[str, Change] = field(default_factory=dict)
    exported: None = None

    def changed(self, changes: Mapping[str, Change]) -> "Network":
        """The network with those of the changes that are of its weights in the place of what is stored."""
        mine = {
            name: one._replace(shape=self.weights[name].shape) for name, one in changes.items() if name in self.weights
        }
        return replace(self, weights={n: one for n, one in self.weights.items() if n not in mine}, changes=mine)

    def with_files(self) -> bytes:
        """The ONNX model with weights as external data, each in a file that is named without its folder."""
        return self._model(self._casts(), [onnx.external(*one) for one in self._named()], self._computed())

    def with_weights(self) -> bytes:
        """The ONNX model with its weights inside, of less than 2 GB; raises `OSError` if they cannot be read."""
        return self._model(self._casts(), [onnx.inside(*one) for one in self._named()], self._computed())

    def with_inputs(self) -> bytes:
        """The ONNX model with weights as further inputs, in float32."""
        stored = [onnx.value(name, "F32", weight.shape) for name, weight in self.weights.items()]
        return self._model([], [], stored + self._computed())

    def _computed(self) -> list[bytes]:
        return [onnx.value(name, "F32", change.shape) for name, change in self.changes.items()]

    def _casts(self) -> list[bytes]:
        """What makes float32 of weights that are stored in fewer bits."""
        wide = (name for name, weight in self.weights.items() if weight.dtype in _WIDENED)
        return [onnx.node("Cast", [_stored(name)], [name], "", {"to": onnx.TYPES["F32"]}) for name in wide]

    def _named(self) -> Iterator[tuple[str, Weight]]:
        """Weights by the names that they have where they are stored."""
        for name, weight in self.weights.items():
            yield (_stored(name) if weight.dtype in _WIDENED else name), weight

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


def left_over(weights: Mapping[str, Weight], networks: Iterable[Network]) -> str:
    """The first of the weights that none of the networks takes, and how many more; empty where there is none."""
    left = sorted(weights.keys() - {name for network in networks for name in network.weights})
    more = f" and {len(left) - 1} more" if left[1:] else ""
    return f"{left[0]}{more}" if left else ""
