"""An exported ONNX graph whose layers' weights are replaced: which constant is whose, and the file written anew.

Exporters lose the names of most weights, but a node's name keeps the path of its layer, and how the node takes its
weight says which way that lies. Weights of 16, 8 and 4 bits are found behind what widens them, all of which the new
weight replaces, in float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.building import onnx, wire
from partway.engines.weights import Change, Source, Weight
from partway.errors import PackageError

_PRODUCTS = ("MatMul", "Gemm", "Conv", "MatMulNBits", "FusedMatMul")
_BITS4 = "MatMulNBits"
_THROUGH = ("Cast", "Identity")
_MOST = 1_500_000_000  # bytes of a model that is given to an engine as one message
_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT = 7, 1, 5, 11, 12


class Product(NamedTuple):
    """A node that multiplies by a layer's weight: its number, and the weight's shape as torch has it.

    turned  whether it takes the transpose
    """

    node: int
    shape: tuple[int, ...]
    turned: bool


class Exported:
    """The graph in the file at ``path``; raises `PackageError` if it cannot be taken apart."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            self.model = list(wire.fields(path.read_bytes()))
            self.graph = list(wire.fields(next(one.data for one in self.model if one.number == _GRAPH)))
            self.nodes = [wire.operator(one.data) for one in self.graph if one.number == _NODE]
            tensors = [wire.tensor(one.data) for one in self.graph if one.number == _INITIALIZER]
        except (OSError, ValueError, IndexError, StopIteration) as error:
            raise PackageError(f"{path} cannot be read ({error}); export it again") from error
        self.tensors = {one.name: one for one in tensors}
        self._makers = {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def products(self) -> dict[str, Product]:
        """The layers whose weights are found, by diffusers' names."""
        found: dict[str, Product] = {}
        for number, node in enumerate(self.nodes):
            module = ".".join(part for part in node.name.split("/")[:-1] if part)
            if node.kind in _PRODUCTS and module and len(node.inputs) > 1 and (product := self._product(number, node)):
                found.setdefault(module, product)
        return found

    def base(self, layer: str) -> NDArray[np.float32]:
        """A layer's weight in float32, as torch has it; raises as `Tensor.read` does."""
        product = self.products[layer]
        node = self.nodes[product.node]
        if node.kind == _BITS4:
            return self._four_bits(node)
        array = self._value(node.inputs[1])
        return np.ascontiguousarray(array.T if product.turned else array)

    def changed(self, changes: Mapping[str, Change]) -> "Rewritten":
        """The graph with weights that are computed in place of those of these layers."""
        return Rewritten(self, {f"adapted/{name}": one for name, one in changes.items() if name in self.products})

    def _product(self, number: int, node: wire.Operator) -> Product | None:
        if node.kind == _BITS4:
            plain = node.numbers.get("bits", 4) == 4 and not any(node.inputs[3:])
            return Product(number, (node.numbers["N"], node.numbers["K"]), True) if plain else None
        shape = self._shape(node.inputs[1])
        if shape is None or len(shape) < 2:
            return None
        turned = node.kind != "Conv" and not node.numbers.get("transB", 0)
        return Product(number, shape[::-1] if turned else shape, turned)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        """The sizes of a constant, through what widens it; None for what is computed."""
        if name in self.tensors:
            return self.tensors[name].dims
        node = self._makers.get(name)
        if node is None or node.kind not in (*_THROUGH, "DequantizeLinear", "Transpose"):
            return None
        shape = self._shape(node.inputs[0])
        if shape is None or node.kind != "Transpose":
            return shape
        return tuple(shape[axis] for axis in node.lists.get("perm", range(len(shape))[::-1]))

    def _value(self, name: str) -> NDArray[np.float32]:
        """The numbers of a constant."""
        if name in self.tensors:
            return self.tensors[name].read(self.path.parent).astype(np.float32)
        node = self._makers[name]
        array = self._value(node.inputs[0])
        if node.kind == "Transpose":
            return array.transpose(node.lists.get("perm") or range(array.ndim)[::-1])
        if node.kind != "DequantizeLinear":
            return array
        scale, zero = self._value(node.inputs[1]), np.float32(0)
        if len(node.inputs) > 2 and node.inputs[2]:
            zero = self._spread(self._value(node.inputs[2]), array, node)
        return (array - zero) * self._spread(scale, array, node)

    @staticmethod
    def _spread(values: NDArray[np.float32], array: NDArray[np.float32], node: wire.Operator) -> Any:
        """Scales or zero points such that they go with every number: one for all, for each row, or for each block."""
        axis = node.numbers.get("axis", 1)
        if values.ndim == 1 and values.size > 1:
            return values.reshape([-1 if at == axis % array.ndim else 1 for at in range(array.ndim)])
        if values.ndim == array.ndim and node.numbers.get("block_size"):
            return values.repeat(node.numbers["block_size"], axis=axis)
        return values

    def _four_bits(self, node: wire.Operator) -> NDArray[np.float32]:
        rows, columns, size = (node.numbers[name] for name in ("N", "K", "block_size"))
        packed = self.tensors[node.inputs[1]].read(self.path.parent).astype(np.uint8).reshape(rows, -1, size // 2)
        values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, -1, size).astype(np.float32) - 8
        scales = self._value(node.inputs[2]).reshape(rows, -1, 1)
        return np.ascontiguousarray((values * scales).reshape(rows, -1)[:, :columns])


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A network that an engine can open, as `partway.building.network.Network`; changes are by ``adapted/LAYER``."""

    file: Exported
    by_name: Mapping[str, Change] = field(default_factory=dict)

    @cached_property
    def weights(self) -> Mapping[str, Weight]:
        """The weights that are computed, in the shape in which nodes take them."""
        beside = self.file.path.with_name(f"{self.file.path.name}_data")
        source = Source.of(beside if beside.is_file() else self.file.path)
        found = {name: self._product(name) for name in self.by_name}
        shapes = {name: one.shape[::-1] if one.turned else one.shape for name, one in found.items()}
        return {name: Weight(source, "F32", shape, 0) for name, shape in shapes.items()}

    @property
    def changes(self) -> Mapping[str, Change]:
        """What computes them."""
        return self.by_name

    @property
    def inputs(self) -> Mapping[str, tuple[str, Sequence[int | str]]]:
        """What it takes and has no use for: nothing, for an engine takes an exported graph as it is."""
        return {}

    @property
    def outputs(self) -> Mapping[str, object]:
        """What it gives, in order."""
        values = (one.data for one in self.file.graph if one.number == _OUTPUT)
        return dict.fromkeys(next(part.text for part in wire.fields(data) if part.number == 1) for data in values)

    def with_files(self) -> bytes:
        """The model with new weights as external data that an engine is given."""
        stubs = [onnx.message(_INITIALIZER, onnx.external(name, one)) for name, one in self.weights.items()]
        return self._model(stubs, whole=False)

    def with_inputs(self) -> bytes:
        """The model with new weights as further inputs, and all others in it; raises `PackageError` if it is large."""
        inputs = [onnx.message(_INPUT, onnx.value(name, "F32", one.shape)) for name, one in self.weights.items()]
        return self._model(inputs, whole=True)

    def _product(self, name: str) -> Product:
        return self.file.products[name.removeprefix("adapted/")]

    def _model(self, more: list[bytes], *, whole: bool) -> bytes:
        renamed = {self._product(name).node: name for name in self.by_name}
        used = self._used(renamed)
        parts: list[bytes] = []
        number = 0
        for one in self.file.graph:
            if one.number == _NODE:
                node = self.file.nodes[number]
                if number in renamed:
                    parts.append(onnx.message(_NODE, _rewired(node, renamed[number])))
                elif used.intersection(node.outputs):
                    parts.append(one.whole)
                number += 1
            elif one.number == _INITIALIZER:
                parts += self._kept(one, used, whole=whole)
            else:
                parts.append(one.whole)
        graph = b"".join(parts + more)
        if len(graph) > _MOST:
            raise PackageError(f"{self.file.path} is too large for adapters on this engine; use engine 'onnxruntime'")
        return b"".join(onnx.message(_GRAPH, graph) if one.number == _GRAPH else one.whole for one in self.file.model)

    def _used(self, renamed: Mapping[int, str]) -> set[str]:
        """The tensors that are still taken, once some nodes take new weights."""
        waiting = list(self.outputs)
        makers = {name: number for number, node in enumerate(self.file.nodes) for name in node.outputs}
        used: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name and name not in used:
                used.add(name)
                if (number := makers.get(name)) is not None:
                    node = self.file.nodes[number]
                    waiting += node.inputs if number not in renamed else [node.inputs[0], *_after(node)]
        return used

    def _kept(self, stored: wire.Field, used: set[str], *, whole: bool) -> list[bytes]:
        """A constant as it is stored, or with its numbers in it; nothing for one that no node takes."""
        tensor = wire.tensor(stored.data)
        if tensor.name not in used:
            return []
        if not whole or not tensor.external:
            return [stored.whole]
        raw = tensor.bytes(self.file.path.parent)
        return [onnx.message(_INITIALIZER, onnx.embedded(tensor.name, tensor.kind, tensor.dims, raw))]


def _after(node: wire.Operator) -> list[str]:
    """What a node takes beside what it multiplies."""
    return [] if node.kind == _BITS4 else node.inputs[2:]


def _rewired(node: wire.Operator, weight: str) -> bytes:
    inputs = [node.inputs[0], weight, *_after(node)]
    kind, rest = ("MatMul", []) if node.kind == _BITS4 else (node.kind, node.rest)
    return onnx.bare_node(kind, inputs, node.outputs, node.name) + b"".join(rest)
