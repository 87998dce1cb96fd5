"""Nodes and tensors of ONNX files as they lie on disk, taken apart without the package onnx.

Field numbers are those of onnx.proto, as in ``onnx.py``, which writes them.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from partway.errors import PackageError
from partway.support.protobuf import VARINT, Data, Field, Span, text, varint, walk

_TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}
"""NumPy's names of ONNX's types."""


@dataclass
class Operator:
    """A node: its operator, the tensors that it takes and gives, its name, and attributes that are whole numbers.

    rest  its attributes and its domain, as they are stored
    """

    kind: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    lists: dict[str, list[int]] = field(default_factory=dict)
    rest: bytes = b""


def operator(data: Data, span: Span) -> Operator:
    """A NodeProto; raises `ValueError` or `LookupError` for what is none."""
    found = Operator()
    for one in walk(data, span):
        if one.number in (1, 2):
            (found.inputs, found.outputs)[one.number - 1].append(_text(data, one))
        elif one.number == 3:
            found.name = _text(data, one)
        elif one.number == 4:
            found.kind = _text(data, one)
        else:
            found.rest += data[one.head : one.end]
        if one.number == 5:
            _add_attribute(found, data, (one.start, one.end))
    return found


def _add_attribute(found: Operator, data: Data, span: Span) -> None:
    parts = list(walk(data, span))
    name = next((_text(data, one) for one in parts if one.number == 1), "")
    for one in parts:
        if one.number == 3:
            (found.numbers[name],) = _integers(data, one)
        elif one.number == 8:
            found.lists.setdefault(name, []).extend(_integers(data, one))


@dataclass
class Tensor:
    """A TensorProto: its sizes, its type, and where its numbers lie: in the same data, or in a file of that place."""

    data: Data
    name: str = ""
    dims: tuple[int, ...] = ()
    kind: int = 0
    spans: list[Span] = field(default_factory=list)
    place: dict[str, str] = field(default_factory=dict)

    def read(self, folder: Path) -> NDArray[np.generic]:
        """Its numbers; ``folder`` is the graph's. Raises `PackageError` if they cannot be read."""
        if self.kind not in _TYPES:
            raise PackageError(f"{folder} has weights {self.name} of a type that adapters do not go with")
        dtype = np.dtype(_TYPES[self.kind])
        try:
            raw = self._bytes(folder)
        except (OSError, ValueError) as error:
            raise PackageError(f"{folder} has weights {self.name} that cannot be read ({error})") from error
        if len(raw) != int(np.prod(self.dims)) * dtype.itemsize:
            raise PackageError(f"{folder} has {len(raw)} bytes of the weights {self.name}; export the model again")
        return np.frombuffer(raw, dtype).reshape(self.dims)

    def _bytes(self, folder: Path) -> bytes:
        if not self.place:
            return b"".join(self.data[start:end] for start, end in self.spans)
        with (folder / self.place["location"]).open("rb") as file:
            file.seek(int(self.place.get("offset", "0")))
            return file.read(int(self.place["length"]))


def tensor(data: Data, span: Span) -> Tensor:
    """A TensorProto; raises as `operator`."""
    found = Tensor(data)
    dims: list[int] = []
    for one in walk(data, span):
        if one.number == 1:
            dims += _integers(data, one)
        elif one.number == 2:
            (found.kind,) = _integers(data, one)
        elif one.number in (4, 9):  # floats that are not raw are stored alike
            found.spans.append((one.start, one.end))
        elif one.number == 8:
            found.name = _text(data, one)
        elif one.number == 13:
            entry = {part.number: _text(data, part) for part in walk(data, (one.start, one.end))}
            found.place[entry.get(1, "")] = entry.get(2, "")
    found.dims = tuple(dims)
    return found


def _text(data: Data, one: Field) -> str:
    return text(data, (one.start, one.end))


def _integers(data: Data, one: Field) -> list[int]:
    """A whole number, or several that are packed, which may be below 0."""
    found, at = [], one.start
    while at < one.end:
        value, at = varint(data, at)
        found.append(value - (1 << 64) * (value >> 63 & 1))
    return found if one.kind != VARINT else found[:1]


def name_of(data: Data, span: Span) -> str:
    """The name of a ValueInfoProto."""
    return next((_text(data, one) for one in walk(data, span) if one.number == 1), "")


def kind_of(data: Data, span: Span) -> int:
    """ONNX's number of the type of the tensor that a ValueInfoProto describes; float32's where it says none."""
    for number in (2, 1):  # its type, and that of a tensor
        span = next(((one.start, one.end) for one in walk(data, span) if one.number == number), (0, 0))
    return next((_integers(data, one)[0] for one in walk(data, span) if one.number == 1), 1)
