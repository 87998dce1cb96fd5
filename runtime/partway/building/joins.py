"""Where an exported UNet joins what its way down has left, and the graph with a ControlNet's residuals added there.

Exporters write each join as a Concat of two tensors along the channels, and none else.
"""

from collections.abc import Iterator, Mapping, Sequence

from partway.building import onnx, wire
from partway.errors import PackageError
from partway.graphs import MIDDLE, RESIDUAL

_FLOAT = 1  # ONNX's number of float32
_NAME, _TYPE, _TENSOR, _ELEMENT = 1, 2, 1, 1


def joins(nodes: Sequence[wire.Operator], count: int) -> dict[int, int]:
    """The numbers of the nodes that join, with the number of the skip that each takes, of which there are ``count``.

    The outermost layers alone have one. Raises `PackageError` for another number.
    """
    found = [
        number
        for number, node in enumerate(nodes)
        if node.kind == "Concat" and node.numbers.get("axis") == 1 and len(node.inputs) == 2
    ]
    if len(found) not in (1, count):
        raise PackageError(f"its UNet has {len(found)} joins where {count} were expected, so that nothing can guide it")
    return {number: len(found) - 1 - index for index, number in enumerate(found)}


def joined(node: wire.Operator, skip: int, *, middle: bool) -> Iterator[tuple[str, list[str], list[str], str]]:
    """Operators that take a join's place: residuals are added to the skip and, where it is the first, to the middle."""
    inputs = list(node.inputs)
    for at, name in ((0, MIDDLE), (1, RESIDUAL.format(skip))):
        if at or middle:
            made = f"{name}/joined"
            yield "Add", [inputs[at], name], [made], made
            inputs[at] = made
    yield node.kind, inputs, list(node.outputs), node.name


def guided_inputs(found: Mapping[int, int], widths: Sequence[int], kind: int) -> Iterator[bytes]:
    """The inputs of residuals, as ValueInfoProto of a type by ONNX's number of it."""
    named = {RESIDUAL.format(skip): widths[skip] for skip in sorted(found.values())}
    if len(found) > 1:
        named[MIDDLE] = widths[-1]
    for name, width in named.items():
        yield onnx.value_of(name, kind, [f"{name}_batch", width, f"{name}_rows", f"{name}_columns"])


def element(values: Sequence[bytes], name: str) -> int:
    """ONNX's number of the type of an input by name, of those as ValueInfoProto; float32's where it is not there."""
    for data in values:
        fields = {one.number: one for one in wire.fields(data)}
        if fields[_NAME].text.split(".")[-1] == name and _TYPE in fields:
            tensor = next((one.data for one in wire.fields(fields[_TYPE].data) if one.number == _TENSOR), b"")
            return next((int(one.value) for one in wire.fields(tensor) if one.number == _ELEMENT), _FLOAT)
    return _FLOAT
