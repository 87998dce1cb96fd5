"""ONNX models as bytes, without the package onnx: messages of protobuf, whose field numbers are those of onnx.proto."""

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Weight

Attribute = int | float | str | Sequence[int]
Dims = Sequence[int | str]

TYPES = {"F32": 1, "U8": 2, "I8": 3, "I32": 6, "I64": 7, "BOOL": 9, "F16": 10, "F64": 11, "BF16": 16}
TYPES |= {"F8_E4M3": 17, "F8_E5M2": 19}
"""ONNX's numbers of the types that .safetensors files name so."""

MICROSOFT = "com.microsoft"
"""The domain of operators that ONNX Runtime adds; OpenVINO reads those that are used here."""

_OF_NUMPY = {"float32": "F32", "int64": "I64"}
_EXTERNAL = 1
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # of attributes


def node(
    kind: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    domain: str,
    attributes: Mapping[str, Attribute],
    name: str = "",
) -> bytes:
    """A NodeProto."""
    return (
        b"".join(_data(1, one) for one in inputs)
        + b"".join(_data(2, one) for one in outputs)
        + (_data(3, name) if name else b"")
        + _data(4, kind)
        + b"".join(_data(5, _attribute(key, value)) for key, value in attributes.items())
        + (_data(7, domain) if domain else b"")
    )


def bare_node(kind: str, inputs: Iterable[str], outputs: Iterable[str], name: str) -> bytes:
    """A NodeProto without attributes and domain, which may follow."""
    return (
        b"".join(_data(1, one) for one in inputs)
        + b"".join(_data(2, one) for one in outputs)
        + _data(3, name)
        + _data(4, kind)
    )


def message(number: int, data: bytes) -> bytes:
    """A message as a field of another one."""
    return _data(number, data)


def constant(name: str, array: NDArray[np.generic]) -> bytes:
    """A TensorProto that holds its numbers."""
    dims = b"".join(_integer(1, size) for size in array.shape)
    kind = TYPES[_OF_NUMPY[array.dtype.name]]
    return dims + _integer(2, kind) + _data(8, name) + _data(9, np.ascontiguousarray(array).tobytes())


def inside(name: str, weight: Weight) -> bytes:
    """A TensorProto that holds the numbers of a weight; raises `OSError` if they cannot be read."""
    with weight.source.path.open("rb") as file:
        file.seek(weight.offset)
        return _described(name, weight) + _data(9, file.read(weight.length))


def external(name: str, weight: Weight) -> bytes:
    """A TensorProto whose numbers lie in a file; it is named without its folder, which an engine is told."""
    place = {"location": weight.source.path.name, "offset": str(weight.offset), "length": str(weight.length)}
    entries = b"".join(_data(13, _data(1, key) + _data(2, value)) for key, value in place.items())
    return _described(name, weight) + entries + _integer(14, _EXTERNAL)


def _described(name: str, weight: Weight) -> bytes:
    """What a TensorProto says of its shape, type and name."""
    return b"".join(_integer(1, size) for size in weight.shape) + _integer(2, TYPES[weight.dtype]) + _data(8, name)


def value(name: str, dtype: str, dims: Dims) -> bytes:
    """A ValueInfoProto; sizes with a name may be any."""
    return value_of(name, TYPES[dtype], dims)


def value_of(name: str, kind: int, dims: Dims) -> bytes:
    """The same of a type by ONNX's number of it."""
    shape = b"".join(_data(1, _data(2, size) if isinstance(size, str) else _integer(1, size)) for size in dims)
    return _data(1, name) + _data(2, _data(1, _integer(1, kind) + _data(2, shape)))


def model(
    nodes: Iterable[bytes], tensors: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes], *, opset: int
) -> bytes:
    """A ModelProto; nodes come in the order in which they can run."""
    graph = (
        b"".join(_data(1, one) for one in nodes)
        + _data(2, "partway")
        + b"".join(_data(5, one) for one in tensors)
        + b"".join(_data(11, one) for one in inputs)
        + b"".join(_data(12, one) for one in outputs)
    )
    opsets = {"": opset, MICROSOFT: 1}
    return (
        _integer(1, 8 if opset < 19 else 9)
        + _data(2, "partway")
        + _data(7, graph)
        + b"".join(_data(8, _data(1, domain) + _integer(2, version)) for domain, version in opsets.items())
    )


def _attribute(name: str, value: Attribute) -> bytes:
    head = _data(1, name)
    if isinstance(value, int):
        return head + _integer(3, value) + _integer(20, _INT)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _integer(20, _FLOAT)
    if isinstance(value, str):
        return head + _data(4, value) + _integer(20, _STRING)
    return head + b"".join(_integer(8, item) for item in value) + _integer(20, _INTS)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _data(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers in two's complement
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
