"""Where an exported UNet joins what its way down has left, and the graph with a ControlNet's residuals added there.

Exporters write each join as a Concat of two tensors along the channels, and none else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partway.building import onnx, wire
from partway.building.replaced import Product
from partway.errors import PackageError
from partway.graphs import MIDDLE, RESIDUAL

if TYPE_CHECKING:
    from partway.building.exported import Exported


def joins(operators: Sequence[wire.Operator], count: int) -> dict[int, int]:
    """The numbers of the nodes that join, with the number of the skip that each takes, of which there are ``count``.

    The outermost layers alone have one. Raises `PackageError` for another number.
    """
    found = [
        number
        for number, node in enumerate(operators)
        if node.kind == "Concat" and node.numbers.get("axis") == 1 and len(node.inputs) == 2
    ]
    if len(found) not in (1, count):
        raise PackageError(f"its UNet has {len(found)} joins where {count} were expected, so that nothing can guide it")
    return {number: len(found) - 1 - index for index, number in enumerate(found)}


def nodes(node: wire.Operator, skip: int, count: int) -> Iterator[bytes]:
    """What takes a join's place, of so many: residuals are added to the skip and, in the first, to the middle."""
    given = list(node.inputs)
    middle = count > 1 and skip == count - 1
    for at, name in ((0, MIDDLE), (1, RESIDUAL.format(skip))):
        if at or middle:
            made = f"{name}/joined"
            yield onnx.bare_node("Add", [given[at], name], [made], made)
            given[at] = made
    yield onnx.bare_node(node.kind, given, node.outputs, node.name) + node.rest


def inputs(found: Mapping[int, int], widths: Sequence[int], kind: int) -> Iterator[bytes]:
    """The inputs of residuals, as ValueInfoProto of a type by ONNX's number of it."""
    named = {RESIDUAL.format(skip): widths[skip] for skip in sorted(found.values())}
    if len(found) > 1:
        named[MIDDLE] = widths[-1]
    for name, width in named.items():
        yield onnx.value_of(name, kind, [f"{name}_batch", width, f"{name}_rows", f"{name}_columns"])


@dataclass(frozen=True)
class Joined:
    """An exported UNet that takes residuals, as `partway.building.replaced.ExportedGraph`; ``widths``: of its skips."""

    file: "Exported"
    widths: Sequence[int]

    @property
    def path(self) -> Path:
        """Its file."""
        return self.file.path

    @property
    def products(self) -> Mapping[str, Product]:
        """The layers whose weights are found, by diffusers' names."""
        return self.file.products

    def base(self, layer: str) -> NDArray[np.float32]:
        """A layer's weight, as torch has it."""
        return self.file.base(layer)

    def with_inputs(self, names: Mapping[int, str], shapes: Mapping[str, Sequence[int]]) -> bytes:
        """The model with weights and residuals as further inputs."""
        return self.file.with_inputs(names, shapes, self.widths)
