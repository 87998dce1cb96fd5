"""ONNX files as they lie on disk, taken apart without the package onnx: messages of protobuf, field by field.

Field numbers are those of onnx.proto, as in ``onnx.py``, which writes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.errors import PackageError

TYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}
"""NumPy's names of ONNX's types."""

_VARINT, _DOUBLE, _DATA, _FLOAT = 0, 1, 2, 5


class Field(NamedTuple):
    """A field of a message: its number, a number or bytes, and all of it as it is stored."""

    number: int
    value: int | bytes
    whole: bytes

    @property
    def data(self) -> bytes:
        """The bytes of a message or of text."""
        return self.value if isinstance(self.value, bytes) else b""

    @property
    def text(self) -> str:
        """Text."""
        return self.data.decode("utf-8", errors="replace")


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in order; raises `ValueError` or `IndexError` for what is none."""
    at = 0
    while at < len(data):
        start = at
        head, at = _varint(data, at)
        kind = head & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            if kind == _DATA:
                size, at = _varint(data, at)
            elif kind in (_DOUBLE, _FLOAT):
                size = 8 if kind == _DOUBLE else 4
            else:
                raise ValueError("no message")
            if at + size > len(data):
                raise ValueError("a message that was cut short")
            value, at = data[at : at + size], at + size
        yield Field(head >> 3, value, data[start:at])


@dataclass
class Operator:
    """A node: its operator, the tensors that it takes and gives, its name, and attributes that are whole numbers."""

    kind: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    lists: dict[str, list[int]] = field(default_factory=dict)
    rest: list[bytes] = field(default_factory=list)


def operator(data: bytes) -> Operator:
    """A NodeProto; ``rest`` has its attributes and its domain as they are stored."""
    found = Operator()
    for one in fields(data):
        if one.number == 1:
            found.inputs.append(one.text)
        elif one.number == 2:
            found.outputs.append(one.text)
        elif one.number == 3:
            found.name = one.text
        elif one.number == 4:
            found.kind = one.text
        else:
            found.rest.append(one.whole)
        if one.number == 5:
            parts = list(fields(one.data))
            name = next((part.text for part in parts if part.number == 1), "")
            for part in parts:
                if part.number == 3 and isinstance(part.value, int):
                    found.numbers[name] = part.value
                elif part.number == 8:
                    found.lists.setdefault(name, []).extend(_integers(part.value))
    return found


@dataclass
class Tensor:
    """A TensorProto: its sizes, its type, and its bytes, or the file, offset and length where they lie."""

    name: str = ""
    dims: tuple[int, ...] = ()
    kind: int = 0
    raw: bytes | None = None
    external: dict[str, str] = field(default_factory=dict)

    def read(self, folder: Path) -> NDArray[np.generic]:
        """Its numbers; raises `PackageError` if they are of a type, or lie in a way, that is not read here."""
        if self.kind not in TYPES:
            raise PackageError(f"{folder} has weights {self.name} of a type that adapters do not go with")
        raw = self.bytes(folder)
        count = int(np.prod(self.dims))
        if len(raw) != count * np.dtype(TYPES[self.kind]).itemsize:
            raise PackageError(f"{folder} has {len(raw)} bytes of {self.name}; export the model again")
        return np.frombuffer(raw, TYPES[self.kind]).reshape(self.dims)

    def bytes(self, folder: Path) -> bytes:
        """The bytes of its numbers."""
        if not self.external:
            return self.raw or b""
        with (folder / Path(self.external["location"]).name).open("rb") as file:
            file.seek(int(self.external.get("offset", "0")))
            return file.read(int(self.external["length"]))


def tensor(data: bytes) -> Tensor:
    """A TensorProto whose numbers are raw bytes or lie in another file."""
    found = Tensor()
    dims: list[int] = []
    for one in fields(data):
        if one.number == 1:
            dims += _integers(one.value)
        elif one.number == 2 and isinstance(one.value, int):
            found.kind = one.value
        elif one.number == 4:  # floats that are not raw are stored alike
            found.raw = (found.raw or b"") + one.data
        elif one.number == 8:
            found.name = one.text
        elif one.number == 9:
            found.raw = one.data
        elif one.number == 13:
            entry = {part.number: part.text for part in fields(one.data)}
            found.external[entry.get(1, "")] = entry.get(2, "")
    found.dims = tuple(dims)
    return found


def _integers(value: int | bytes) -> list[int]:
    """One number, or several that are packed."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        one, at = _varint(value, at)
        found.append(one)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value - (1 << 64) * (value >> 63 & 1), at
