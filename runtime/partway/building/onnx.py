"""ONNX models as bytes, without the package onnx: messages of protobuf, whose field numbers are those of onnx.proto."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Weight
from partway.support.protobuf import field, integer, real

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
        b"".join(field(1, one) for one in inputs)
        + b"".join(field(2, one) for one in outputs)
        + (field(3, name) if name else b"")
        + field(4, kind)
        + b"".join(field(5, _attribute(key, value)) for key, value in attributes.items())
        + (field(7, domain) if domain else b"")
    )


def bare_node(kind: str, inputs: Iterable[str], outputs: Iterable[str], name: str) -> bytes:
    """A NodeProto without attributes and domain, which may follow."""
    return (
        b"".join(field(1, one) for one in inputs)
        + b"".join(field(2, one) for one in outputs)
        + field(3, name)
        + field(4, kind)
    )


def message(number: int, data: bytes) -> bytes:
    """A message as a field of another one."""
    return field(number, data)


def constant(name: str, array: NDArray[np.generic]) -> bytes:
    """A TensorProto that holds its numbers."""
    dims = b"".join(integer(1, size) for size in array.shape)
    kind = TYPES[_OF_NUMPY[array.dtype.name]]
    return dims + integer(2, kind) + field(8, name) + field(9, np.ascontiguousarray(array).tobytes())


def inside(name: str, weight: Weight) -> bytes:
    """A TensorProto that holds the numbers of a weight; raises `OSError` if they cannot be read."""
    with weight.source.path.open("rb") as file:
        file.seek(weight.offset)
        return _described(name, weight) + field(9, file.read(weight.length))


def external(name: str, weight: Weight) -> bytes:
    """A TensorProto whose numbers lie in a file; it is named without its folder, which an engine is told."""
    place = {"location": weight.source.path.name, "offset": str(weight.offset), "length": str(weight.length)}
    entries = b"".join(field(13, field(1, key) + field(2, value)) for key, value in place.items())
    return _described(name, weight) + entries + integer(14, _EXTERNAL)


def _described(name: str, weight: Weight) -> bytes:
    """What a TensorProto says of its shape, type and name."""
    return b"".join(integer(1, size) for size in weight.shape) + integer(2, TYPES[weight.dtype]) + field(8, name)


def value(name: str, dtype: str, dims: Dims) -> bytes:
    """A ValueInfoProto; sizes with a name may be any."""
    return value_of(name, TYPES[dtype], dims)


def value_of(name: str, kind: int, dims: Dims) -> bytes:
    """The same of a type by ONNX's number of it."""
    shape = b"".join(field(1, field(2, size) if isinstance(size, str) else integer(1, size)) for size in dims)
    return field(1, name) + field(2, field(1, integer(1, kind) + field(2, shape)))


def model(
    nodes: Iterable[bytes], tensors: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes], *, opset: int
) -> bytes:
    """A ModelProto; nodes come in the order in which they can run."""
    graph = (
        b"".join(field(1, one) for one in nodes)
        + field(2, "partway")
        + b"".join(field(5, one) for one in tensors)
        + b"".join(field(11, one) for one in inputs)
        + b"".join(field(12, one) for one in outputs)
    )
    opsets = {"": opset, MICROSOFT: 1}
    return (
        integer(1, 8 if opset < 19 else 9)
        + field(2, "partway")
        + field(7, graph)
        + b"".join(field(8, field(1, domain) + integer(2, version)) for domain, version in opsets.items())
    )


def _attribute(name: str, value: Attribute) -> bytes:
    head = field(1, name)
    if isinstance(value, int):
        return head + integer(3, value) + integer(20, _INT)
    if isinstance(value, float):
        return head + real(2, value) + integer(20, _FLOAT)
    if isinstance(value, str):
        return head + field(4, value) + integer(20, _STRING)
    return head + b"".join(integer(8, item) for item in value) + integer(20, _INTS)
