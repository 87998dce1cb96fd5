"""A text encoder that also takes vectors in place of its tokens' own, for embeddings (textual inversions).

Its graph is changed in one place, behind the lookup of tokens: where ``token_given`` says so, a token's vector is the
one in ``token_vectors``. The table of tokens stays as it is stored, whatever that is, and embeddings can change from
call to call. Field numbers are those of onnx.proto; `partway.engines.rewrites.vectors` does it for OpenVINO.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines.external import locations
from partway.errors import PackageError
from partway.support import protobuf
from partway.support.protobuf import Data, Span, spans, text, walk

GIVEN, VECTORS = "token_given", "token_vectors"
"""The inputs: whether a token's vector is given, (B, N, 1), and which it is, (B, N, D)."""

_GRAPH, _NODE, _INITIALIZER, _GRAPH_INPUT = 7, 1, 5, 11
_INPUT, _OUTPUT, _KIND, _ATTRIBUTE = 1, 2, 4, 5  # of a node
_TYPE, _NAME, _RAW, _EXTERNAL, _PLACE = 2, 8, 9, 13, 14  # of a tensor
_FLOATS, _BOOL = (1, 10), 9
_LOOKUPS = ("Gather", "GatherBlockQuantized")
_SAME = ("Cast", "Reshape", "Identity", "Unsqueeze", "Squeeze")
_AFTER = ("Cast", "Reshape", "Identity", "DequantizeLinear")
_LARGE = 1 << 16  # bytes of a tensor that stays in its file; smaller ones may say shapes


class Vectors(NamedTuple):
    """The given vectors of N tokens: which are given (N,), and the vectors (N, D)."""

    given: NDArray[np.bool_]
    vectors: NDArray[np.float32]

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The inputs of a network, for a batch of one."""
        return {GIVEN: self.given[None, :, None], VECTORS: self.vectors[None]}


def onnx_file(path: Path) -> tuple[bytes, Path]:
    """The model of an ONNX file, and the folder of the weights that it names.

    Large weights stay where they lie, in the file itself. Raises `PackageError` if tokens are not looked up as they
    are in CLIP, OSError and ValueError as reading does.
    """
    alone = not locations(path)
    real = path.resolve() if alone else path
    with real.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return _changed(data, real.name if alone else None), real.parent


def onnx_model(model: bytes) -> bytes:
    """The same of a model in memory."""
    return _changed(model, None)


@dataclass(frozen=True)
class _Node:
    span: Span
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, int] = field(default_factory=dict)


def _changed(data: Data, file: str | None) -> bytes:
    graph = next(spans(data, (0, len(data)), _GRAPH), (0, 0))
    nodes = [_node(data, one) for one in spans(data, graph, _NODE)]
    types = dict(_types(data, graph))
    place = _place(nodes, types, _first(data, graph))
    parts = []
    for one in walk(data, graph):
        if one.number == _NODE and (one.start, one.end) == place.node.span:
            parts += [_renamed(data, place), _where(place.tensor)]
        elif one.number == _INITIALIZER and file is not None:
            parts.append(protobuf.field(_INITIALIZER, _kept(data, (one.start, one.end), file)))
        else:
            parts.append(bytes(data[one.head : one.end]))
    parts += [_declared(GIVEN, _BOOL, "1"), _declared(VECTORS, place.type, "width")]
    made = protobuf.field(_GRAPH, b"".join(parts))
    return b"".join(
        made if one.number == _GRAPH else bytes(data[one.head : one.end]) for one in walk(data, (0, len(data)))
    )


class _Place(NamedTuple):
    """Where vectors come in: the tensor of tokens' own, the node that gives it, and its type."""

    tensor: str
    node: _Node
    type: int


def _place(nodes: list[_Node], types: dict[str, int], ids: str) -> _Place:
    same, makers = {ids}, {name: node for node in nodes for name in node.outputs}
    for node in nodes:
        if node.kind in _SAME and node.inputs[0] in same:
            same.update(node.outputs)
        elif node.kind in _LOOKUPS and node.inputs[1] in same:
            break
    else:
        raise unknown()
    while True:
        takers = [other for other in nodes if node.outputs[0] in other.inputs]
        if len(takers) != 1 or takers[0].kind not in _AFTER:
            break
        node = takers[0]
    kind = _type(node.outputs[0], makers, types)
    if kind not in _FLOATS:
        raise unknown()
    return _Place(node.outputs[0], node, kind)


def unknown() -> PackageError:
    """The error of a text encoder that cannot be changed so."""
    return PackageError(
        "this model's text encoder does not look tokens up as CLIP's does, so it takes no embeddings; give the "
        "model's .safetensors file, or export it again"
    )


def _type(name: str, makers: dict[str, _Node], types: dict[str, int]) -> int:
    """ONNX's number of a tensor's type."""
    if name in types or name not in makers:
        return types.get(name, 0)
    node = makers[name]
    if node.kind == "Cast":
        return node.attributes.get("to", 0)
    return _type(node.inputs[{"DequantizeLinear": 1, "GatherBlockQuantized": 2}.get(node.kind, 0)], makers, types)


def _node(data: Data, span: Span) -> _Node:
    found: dict[int, list[str]] = {_INPUT: [], _OUTPUT: [], _KIND: []}
    attributes: dict[str, int] = {}
    for one in walk(data, span):
        if one.number in found:
            found[one.number].append(text(data, (one.start, one.end)))
        elif one.number == _ATTRIBUTE:
            inner = {part.number: part for part in walk(data, (one.start, one.end))}
            if 3 in inner:
                attributes[text(data, (inner[1].start, inner[1].end))] = protobuf.varint(data, inner[3].start)[0]
    return _Node(span, "".join(found[_KIND]), found[_INPUT], found[_OUTPUT], attributes)


def _types(data: Data, graph: Span) -> Iterator[tuple[str, int]]:
    """Name and type of each weight."""
    for tensor in spans(data, graph, _INITIALIZER):
        inner = {one.number: one for one in walk(data, tensor)}
        if _NAME in inner and _TYPE in inner:
            name = text(data, (inner[_NAME].start, inner[_NAME].end))
            yield name, protobuf.varint(data, inner[_TYPE].start)[0]


def _first(data: Data, graph: Span) -> str:
    """The name of the input that takes token ids."""
    names = [text(data, next(spans(data, one, 1))) for one in spans(data, graph, _GRAPH_INPUT)]
    return next((name for name in names if name.split(".")[-1] == "input_ids"), "".join(names[:1]))


def _renamed(data: Data, place: _Place) -> bytes:
    """The node that gives tokens' own vectors, under another name."""
    contents = b"".join(
        protobuf.field(_OUTPUT, _own(place.tensor)) if one.number == _OUTPUT else bytes(data[one.head : one.end])
        for one in walk(data, place.node.span)
    )
    return protobuf.field(_NODE, contents)


def _where(tensor: str) -> bytes:
    inputs = b"".join(protobuf.field(_INPUT, name) for name in (GIVEN.encode(), VECTORS.encode(), _own(tensor)))
    return protobuf.field(_NODE, inputs + protobuf.field(_OUTPUT, tensor.encode()) + protobuf.field(_KIND, b"Where"))


def _own(tensor: str) -> bytes:
    return f"{tensor}/own".encode()


def _declared(name: str, kind: int, last: str) -> bytes:
    """An input of three axes; the last is 1 or may be any."""
    any_ = b"".join(protobuf.field(1, protobuf.field(2, size.encode())) for size in ("batch", "tokens"))
    final = protobuf.field(1, b"\x08\x01" if last == "1" else protobuf.field(2, last.encode()))
    tensor = protobuf.field(1, bytes([8, kind]) + protobuf.field(2, any_ + final))
    return protobuf.field(_GRAPH_INPUT, protobuf.field(1, name.encode()) + protobuf.field(2, tensor))


def _kept(data: Data, span: Span, file: str) -> bytes:
    """A weight as it is, or a large one as a part of the file that it lies in."""
    inner = list(walk(data, span))
    raw = next((one for one in inner if one.number == _RAW and one.end - one.start >= _LARGE), None)
    if raw is None:
        return bytes(data[span[0] : span[1]])
    places = {"location": file, "offset": str(raw.start), "length": str(raw.end - raw.start)}
    entries = b"".join(
        protobuf.field(_EXTERNAL, protobuf.field(1, key.encode()) + protobuf.field(2, value.encode()))
        for key, value in places.items()
    )
    rest = b"".join(bytes(data[one.head : one.end]) for one in inner if one.number not in (_RAW, _PLACE))
    return rest + entries + bytes([_PLACE << 3, 1])
