"""An exported ONNX graph whose layers' weights are replaced: which constant is whose, and the model written anew.

Exporters lose the names of most weights, but a node's name keeps the path of its layer, and how the node takes its
weight says which way that lies. Weights of 16, 8 and 4 bits are found behind what widens them, all of which the new
weight replaces, in float32.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.building import joined, onnx, wire
from partway.building.replaced import Product, layer_of
from partway.errors import PackageError
from partway.support.protobuf import spans, walk

_PRODUCTS = ("MatMul", "Gemm", "Conv", "MatMulNBits", "FusedMatMul")
_BITS4 = "MatMulNBits"
_THROUGH = ("Cast", "Identity")
_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT = 7, 1, 5, 11, 12


class Exported:
    """The graph in the file at ``path``; raises `PackageError` if it cannot be taken apart.

    table: layers by the names of the nodes that multiply by their weights, where that is known
    """

    def __init__(self, path: Path, table: Mapping[str, str] | None = None) -> None:
        self.path, self._table = path, table or {}
        try:
            with path.open("rb") as file:
                self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
            self._span = next(spans(self._data, (0, len(self._data)), _GRAPH))
            self._fields = list(walk(self._data, self._span))
            self.nodes = [wire.operator(self._data, span) for span in self._parts(_NODE)]
            self._tensors = {one.name: one for one in map(self._tensor, self._parts(_INITIALIZER))}
        except (OSError, ValueError, LookupError, StopIteration) as error:
            raise PackageError(f"{path} cannot be read ({error}); export it again") from error
        self._makers = {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def products(self) -> Mapping[str, Product]:
        """The layers whose weights are found, by diffusers' names."""
        found: dict[str, Product] = {}
        for number, node in enumerate(self.nodes):
            if node.kind in _PRODUCTS and len(node.inputs) > 1 and (product := self._product(number, node)):
                path = ".".join(part for part in node.name.split("/")[:-1] if part)
                name = self._table.get(node.name) or layer_of(path)
                name = name or layer_of(node.inputs[1].rpartition(".weight")[0])
                if name:
                    found.setdefault(name, product)
        return found

    @property
    def table(self) -> dict[str, str]:
        """The layers by the names of these nodes, for whoever opens the file again."""
        return {self.nodes[one.node].name: layer for layer, one in self.products.items()}

    def base(self, layer: str) -> NDArray[np.float32]:
        """A layer's weight in float32, as torch has it; raises as `wire.Tensor.read`."""
        product = self.products[layer]
        node = self.nodes[product.node]
        if node.kind == _BITS4:
            return self._four_bits(node)
        array = self._value(node.inputs[1])
        return array.T if product.transposed else array

    def with_inputs(
        self, names: Mapping[int, str], shapes: Mapping[str, Sequence[int]], widths: Sequence[int] = ()
    ) -> bytes:
        """The model with weights as further inputs of such names and shapes, by the number of the node that takes them.

        What is left without use is left out. Where there are ``widths``, channels of the UNet's skips, it also takes a
        ControlNet's residuals, which are added to them.
        """
        used = self._used(names)
        joins = joined.joins(self.nodes, len(widths)) if widths else {}
        parts = [onnx.message(_INPUT, onnx.value(name, "F32", shape)) for name, shape in shapes.items()]
        parts += [onnx.message(_INPUT, one) for one in joined.inputs(joins, widths, self._kind())]
        number = 0
        for one in self._fields:
            stored = self._data[one.head : one.end]
            if one.number == _NODE:
                node, number = self.nodes[number], number + 1
                if number - 1 in names:
                    parts.append(onnx.message(_NODE, _rewired(node, names[number - 1])))
                elif number - 1 in joins:
                    parts += [onnx.message(_NODE, one) for one in joined.nodes(node, joins[number - 1], len(joins))]
                elif used.intersection(node.outputs):
                    parts.append(stored)
            elif one.number != _INITIALIZER or self._tensor((one.start, one.end)).name in used:
                parts.append(stored)
        return b"".join(
            onnx.message(_GRAPH, b"".join(parts)) if one.number == _GRAPH else self._data[one.head : one.end]
            for one in walk(self._data, (0, len(self._data)))
        )

    def _parts(self, number: int) -> list[tuple[int, int]]:
        return [(one.start, one.end) for one in self._fields if one.number == number]

    def _kind(self) -> int:
        """ONNX's number of the type of the UNet's latents."""
        named = {wire.name_of(self._data, span).split(".")[-1]: span for span in self._parts(_INPUT)}
        return wire.kind_of(self._data, named["sample"]) if "sample" in named else 1

    def _tensor(self, span: tuple[int, int]) -> wire.Tensor:
        return wire.tensor(self._data, span)

    def _product(self, number: int, node: wire.Operator) -> Product | None:
        if node.kind == _BITS4:
            plain = node.numbers.get("bits", 4) == 4 and not any(node.inputs[3:])
            return Product(number, (node.numbers["N"], node.numbers["K"]), True) if plain else None
        shape = self._shape(node.inputs[1])
        if shape is None or len(shape) < 2:
            return None
        transposed = node.kind != "Conv" and not node.numbers.get("transB", 0)
        return Product(number, shape[::-1] if transposed else shape, transposed)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        """The sizes of a constant, through what widens it; None for what is computed."""
        if name in self._tensors:
            return self._tensors[name].dims
        node = self._makers.get(name)
        if node is None or node.kind not in (*_THROUGH, "DequantizeLinear", "Transpose"):
            return None
        shape = self._shape(node.inputs[0])
        if shape is None or node.kind != "Transpose":
            return shape
        return tuple(shape[axis] for axis in node.lists.get("perm", range(len(shape))[::-1]))

    def _value(self, name: str) -> NDArray[np.float32]:
        """The numbers of a constant."""
        if name in self._tensors:
            return self._tensors[name].read(self.path.parent).astype(np.float32)
        node = self._makers[name]
        array = self._value(node.inputs[0])
        if node.kind == "Transpose":
            return array.transpose(node.lists.get("perm") or range(array.ndim)[::-1])
        if node.kind != "DequantizeLinear":
            return array
        scale, zero = self._value(node.inputs[1]), np.float32(0)
        if len(node.inputs) > 2 and node.inputs[2]:
            zero = _spread(self._value(node.inputs[2]), array, node)
        return (array - zero) * _spread(scale, array, node)

    def _four_bits(self, node: wire.Operator) -> NDArray[np.float32]:
        rows, columns, size = (node.numbers[name] for name in ("N", "K", "block_size"))
        packed = self._tensors[node.inputs[1]].read(self.path.parent).astype(np.uint8).reshape(rows, -1, size // 2)
        values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, -1, size).astype(np.float32) - 8
        scales = self._value(node.inputs[2]).reshape(rows, -1, 1)
        return (values * scales).reshape(rows, -1)[:, :columns]

    def _used(self, names: Mapping[int, str]) -> set[str]:
        """The tensors that are still taken, once some nodes take new weights."""
        makers = {name: number for number, node in enumerate(self.nodes) for name in node.outputs}
        waiting = [wire.name_of(self._data, span) for span in self._parts(_OUTPUT)]
        used: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name and name not in used:
                used.add(name)
                if (number := makers.get(name)) is not None:
                    node = self.nodes[number]
                    waiting += node.inputs if number not in names else [node.inputs[0], *_after(node)]
        return used


def _spread(values: NDArray[np.float32], array: NDArray[np.float32], node: wire.Operator) -> Any:
    """Scales or zero points such that they go with every number: one for all, for each row, or for each block."""
    axis = node.numbers.get("axis", 1)
    if values.ndim == 1 and values.size > 1:
        return values.reshape([-1 if at == axis % array.ndim else 1 for at in range(array.ndim)])
    if values.ndim == array.ndim and node.numbers.get("block_size"):
        return values.repeat(node.numbers["block_size"], axis=axis)
    return values


def _after(node: wire.Operator) -> list[str]:
    """What a node takes beside what it multiplies."""
    return [] if node.kind == _BITS4 else node.inputs[2:]


def _rewired(node: wire.Operator, weight: str) -> bytes:
    inputs = [node.inputs[0], weight, *_after(node)]
    kind, rest = ("MatMul", b"") if node.kind == _BITS4 else (node.kind, node.rest)
    return onnx.bare_node(kind, inputs, node.outputs, node.name) + rest
