"""Exported graphs, of either format, with layers' weights replaced by what is computed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Change, Weight

_ROOTS = re.compile(
    r"(?:^|\.)((?:down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|add_embedding|class_embedding"
    r"|text_model|text_projection)(?:\..+)?)$"
)
_BARE = re.compile(r"(?:^|\.)((?:encoder\.layers)\..+)$")  # of text encoders as transformers has had them since


class Product(NamedTuple):
    """A node that multiplies by a layer's weight: its number, and the weight's shape as torch has it.

    transposed  whether it takes the transpose
    """

    node: int
    shape: tuple[int, ...]
    transposed: bool

    @property
    def node_shape(self) -> tuple[int, ...]:
        """The shape as the node takes it."""
        return self.shape[::-1] if self.transposed else self.shape


class ExportedGraph(Protocol):
    """An exported graph, taken apart."""

    @property
    def path(self) -> Path:
        """Its file."""
        ...

    @property
    def products(self) -> Mapping[str, Product]:
        """The layers whose weights are found, by diffusers' names."""
        ...

    def base(self, layer: str) -> NDArray[np.float32]:
        """A layer's weight, as torch has it."""
        ...

    def with_inputs(self, names: Mapping[int, str], shapes: Mapping[str, Sequence[int]]) -> bytes:
        """The model with weights as further inputs, by the number of the node that takes them."""
        ...


@dataclass(frozen=True, eq=False)
class Replaced:
    """A network that an engine can open, as `partway.building.network.Network`: a file with layers' weights computed.

    layers  what computes them, in the shapes that nodes take, by diffusers' names of the layers
    """

    file: ExportedGraph
    layers: Mapping[str, Change]
    weights: Mapping[str, Weight] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, Sequence[int | str]]] = field(default_factory=dict)
    outputs: Mapping[str, object] = field(default_factory=dict)

    @property
    def exported(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def changes(self) -> Mapping[str, Change]:
        """What computes them, by the names of inputs."""
        return {self._name(layer): change for layer, change in self.layers.items()}

    def with_files(self) -> bytes:
        """The model with new weights as further inputs; others lie where they lay."""
        return self.with_inputs()

    def with_inputs(self) -> bytes:
        """The same."""
        products = self.file.products
        names = {products[layer].node: self._name(layer) for layer in self.layers}
        return self.file.with_inputs(names, {self._name(layer): one.shape for layer, one in self.layers.items()})

    def _name(self, layer: str) -> str:
        """Whoever takes the same numbers has the same name for them."""
        return f"adapted/{layer}" + "/transposed" * self.file.products[layer].transposed


def layer_of(path: str) -> str | None:
    """diffusers' name of a layer whose path in an exported graph is given; None for what is no layer of a model."""
    if found := _ROOTS.search(path):
        return found[1]
    return f"text_model.{found[1]}" if (found := _BARE.search(path)) else None
