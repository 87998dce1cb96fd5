"""What a network's graph takes, read from its file without loading the network: names and shapes.

Of an ONNX file nodes and weights are stepped over; an OpenVINO file is read to its end. That takes milliseconds, once
for each state of the file, and no memory that stays; nothing is compiled.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from partway.support.protobuf import VARINT, Span, spans, text, varint, walk

Shape = tuple[int | None, ...]
Ports = Mapping[str, Shape]

# Numbers of fields in onnx.proto
_GRAPH, _INPUT, _NAME, _TYPE, _TENSOR, _SHAPE, _DIMENSION, _VALUE = 7, 11, 1, 2, 1, 2, 1, 1


def inputs(file: Path) -> Ports:
    """The shape of each input of a graph, None where any size goes, by every name that it has.

    ``file`` is ONNX or OpenVINO's .xml. Exporters may put a prefix before a name, which is left out. Empty for a file
    that cannot be read: loading it says what is wrong.
    """
    try:
        about = file.stat()
        return _read(file, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, LookupError, SyntaxError):
        return {}


def each(file: Path) -> Iterator[tuple[str, Shape]]:
    """Name and shape of one input after the other; raises what reading a file does that is none of these."""
    return _openvino_inputs(file) if file.suffix == ".xml" else _onnx_inputs(file)


@lru_cache(64)
def _read(file: Path, changed: int, size: int) -> Ports:
    """The inputs of a file in this state."""
    return {name.split(".")[-1]: shape for name, shape in each(file)}


def _onnx_inputs(file: Path) -> Iterator[tuple[str, Shape]]:
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        graph = next(spans(data, (0, len(data)), _GRAPH), (0, 0))
        for described in spans(data, graph, _INPUT):
            shape: Span | None = described
            for number in (_TYPE, _TENSOR, _SHAPE):
                shape = None if shape is None else next(spans(data, shape, number), None)
            name = next(spans(data, described, _NAME), (0, 0))
            if shape is not None:
                sides = (next(_sizes(data, one), None) for one in spans(data, shape, _DIMENSION))
                yield text(data, name), tuple(sides)


def _sizes(data: mmap, span: Span) -> Iterator[int]:
    """The value of a dimension that has one: it may have a name instead, or be 0 or less where any size goes."""
    for one in walk(data, span):
        value = varint(data, one.start)[0] if (one.number, one.kind) == (_VALUE, VARINT) else 0
        if 0 < value < 2**63:  # above that it stands for a negative number
            yield value


def _openvino_inputs(file: Path) -> Iterator[tuple[str, Shape]]:
    from xml.etree.ElementTree import iterparse  # start-up can do without it

    for _, element in iterparse(file):
        if element.tag != "layer":
            continue
        data, port = element.find("data"), element.find("output/port")
        if element.get("type") == "Parameter" and data is not None:
            shape: list[int | None] = []
            for side in (data.get("shape") or "").split(","):
                shape.append(None)
                with suppress(ValueError):  # "?" for any size, "1..64" for some
                    shape[-1] = int(side)
            named = "" if port is None else port.get("names", "")
            for name in {element.get("name", ""), *named.split(",")}:
                yield name, tuple(shape)
        element.clear()
