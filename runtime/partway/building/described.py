"""OpenVINO's description of an exported network (IR) whose layers' weights are replaced, as ``exported.py`` does it.

A constant of two or more axes has its parameter's name, and the operator that multiplies by it the path of its layer.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from partway.building.replaced import Product, layer_of
from partway.errors import PackageError

_PRODUCTS = ("MatMul", "Convolution")
_THROUGH = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose")
_TYPES = {
    "f32": "<f4", "f16": "<f2", "f64": "<f8", "i64": "<i8", "i32": "<i4", "i8": "i1", "u8": "u1", "bf16": "<u2",
    "i4": "u1", "u4": "u1",
}  # fmt: skip
_OPERATION = re.compile(r"/(?:aten::|[A-Z]).*$")  # behind the layer's path


class Described:
    """The network in the .xml file at ``path``, with its weights beside it; raises `PackageError` if it is broken.

    table: as `partway.building.exported.Exported` has it
    """

    def __init__(self, path: Path, table: Mapping[str, str] | None = None) -> None:
        self.path, self._table = path, table or {}
        try:
            self._tree = ET.parse(path).getroot()
            self._layers = {int(one.attrib["id"]): one for one in self._tree.iterfind("layers/layer")}
            self._sources = {
                (int(one.attrib["to-layer"]), int(one.attrib["to-port"])): int(one.attrib["from-layer"])
                for one in self._tree.iterfind("edges/edge")
            }
        except (OSError, ValueError, KeyError, ET.ParseError) as error:
            raise PackageError(f"{path} cannot be read ({error}); export it again") from error

    @cached_property
    def products(self) -> Mapping[str, Product]:
        """The layers whose weights are found, by diffusers' names."""
        found: dict[str, Product] = {}
        for number, layer in self._layers.items():
            if layer.attrib["type"] in _PRODUCTS and (constant := self._constant(number)) is not None:
                named = layer_of(re.split(r"\.weight\b", constant.attrib["name"])[0])
                path = _OPERATION.sub("", layer.attrib["name"]).strip("/").replace("/", ".")
                name = self._table.get(layer.attrib["name"]) or layer_of(path) or named
                shape = self._shape(self._sources[number, 1])
                transposed = layer.attrib["type"] == "MatMul" and _data(layer, "transpose_b") != "true"
                if name and len(shape) > 1:
                    found.setdefault(name, Product(number, shape[::-1] if transposed else shape, transposed))
        return found

    @property
    def table(self) -> dict[str, str]:
        """The layers by the names of these nodes, for whoever opens the file again."""
        return {self._layers[one.node].attrib["name"]: layer for layer, one in self.products.items()}

    def base(self, layer: str) -> NDArray[np.float32]:
        """A layer's weight in float32, as torch has it; raises `PackageError`."""
        product = self.products[layer]
        try:
            array = self._value(self._sources[product.node, 1])
        except (OSError, ValueError, LookupError) as error:
            raise PackageError(f"{self.path} has weights of {layer} that cannot be read ({error})") from error
        return array.T if product.transposed else array

    def with_inputs(self, names: Mapping[int, str], shapes: Mapping[str, Sequence[int]]) -> bytes:
        """The description with weights as further inputs, by the number of the operator that takes them."""
        root = ET.fromstring(ET.tostring(self._tree))  # a copy
        layers, edges = root.find("layers"), root.find("edges")
        assert layers is not None and edges is not None
        for edge in list(edges):
            if int(edge.attrib["to-layer"]) in names and edge.attrib["to-port"] == "1":
                edges.remove(edge)
        for number, (taker, name) in enumerate(names.items(), max(self._layers) + 1):
            layers.insert(number - max(self._layers) - 1, _parameter(number, name, shapes[name]))
            ends = {"from-layer": number, "from-port": 0, "to-layer": taker, "to-port": 1}
            ET.SubElement(edges, "edge", {key: str(value) for key, value in ends.items()})
        return ET.tostring(root)

    def _constant(self, number: int) -> ET.Element | None:
        """The constant that a layer takes as its weight, through what widens it."""
        source = self._sources.get((number, 1))
        while source is not None and self._layers[source].attrib["type"] in _THROUGH:
            source = self._sources[source, 0]
        found = None if source is None else self._layers[source]
        return found if found is not None and found.attrib["type"] == "Const" else None

    def _shape(self, number: int) -> tuple[int, ...]:
        return tuple(int(one.text or 0) for one in self._layers[number].iterfind("output/port/dim"))

    def _value(self, number: int) -> NDArray[np.float32]:
        """What an operator gives that takes constants alone."""
        layer = self._layers[number]
        kind = layer.attrib["type"]
        if kind == "Const":
            return self._stored(layer)
        taken = [self._value(self._sources[number, port]) for port in (0, 1) if (number, port) in self._sources]
        if kind == "Convert":
            return taken[0]
        if kind == "Reshape":
            return taken[0].reshape(self._shape(number))
        if kind == "Transpose":
            return taken[0].transpose(taken[1].astype(int))
        if kind not in ("Multiply", "Subtract"):
            raise ValueError(f"behind the operator {kind}")
        return taken[0] * taken[1] if kind == "Multiply" else taken[0] - taken[1]

    def _stored(self, constant: ET.Element) -> NDArray[np.float32]:
        kind = _data(constant, "element_type")
        if kind not in _TYPES:
            raise ValueError(f"of type {kind}")
        shape = self._shape(int(constant.attrib["id"]))
        with self.path.with_suffix(".bin").open("rb") as file:
            file.seek(int(_data(constant, "offset")))
            raw = np.frombuffer(file.read(int(_data(constant, "size"))), _TYPES[kind])
        if kind == "bf16":  # the upper half of a float32
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        elif kind in ("i4", "u4"):
            raw = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1)[: int(np.prod(shape))]
        values = raw.astype(np.float32)
        return np.where(values > 7, values - 16, values).reshape(shape) if kind == "i4" else values.reshape(shape)


def _data(layer: ET.Element, name: str) -> str:
    found = layer.find("data")
    return "" if found is None else found.attrib.get(name, "")


def _parameter(number: int, name: str, shape: Sequence[int]) -> ET.Element:
    attributes = {"id": str(number), "name": name, "type": "Parameter", "version": "opset1"}
    layer = ET.Element("layer", attributes)
    ET.SubElement(layer, "data", {"shape": ",".join(map(str, shape)), "element_type": "f32"})
    port = ET.SubElement(ET.SubElement(layer, "output"), "port", {"id": "0", "precision": "FP32", "names": name})
    for size in shape:
        ET.SubElement(port, "dim").text = str(size)
    return layer
