"""The size of pictures that a network's graph is fixed to, read from its file without loading the network.

An ONNX file is a tree of length-prefixed fields: weights and nodes are stepped over, so that of a file of gigabytes a
few pages are read. An OpenVINO file is read up to its first input that is a picture. That takes milliseconds, once
for each state of the file, and no memory that stays; nothing is compiled.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

Shape = list[int | None]
Span = tuple[int, int]

# Numbers of fields in onnx.proto, and the kinds of what they hold in the file.
_GRAPH, _INPUT, _TYPE, _TENSOR, _SHAPE, _DIMENSION, _VALUE = 7, 11, 2, 1, 2, 1, 1
_VARINT, _EIGHT_BYTES, _SPAN, _FOUR_BYTES = 0, 1, 2, 5


def fixed_size(file: Path) -> tuple[int, int] | None:
    """Height and width of the one size that a network takes, in its own pixels or latents; None if it takes any.

    ``file`` is ONNX or OpenVINO's .xml. None too for a file that cannot be read: loading it says what is wrong.
    """
    try:
        about = file.stat()
        return _read(file, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, LookupError, SyntaxError):
        return None


@lru_cache(64)
def _read(file: Path, changed: int, size: int) -> tuple[int, int] | None:
    """The size that a file in this state says."""
    shapes = _openvino_inputs(file) if file.suffix == ".xml" else _onnx_inputs(file)
    height, width = next((shape[2:] for shape in shapes if len(shape) == 4), (None, None))
    return None if height is None or width is None else (height, width)


def _onnx_inputs(file: Path) -> Iterator[Shape]:
    """The shape of each input of an ONNX graph, None where any size goes."""
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        graph = next(_fields(data, (0, len(data)), _GRAPH), (0, 0))
        for described in _fields(data, graph, _INPUT):
            shape: Span | None = described
            for number in (_TYPE, _TENSOR, _SHAPE):
                shape = None if shape is None else next(_fields(data, shape, number), None)
            if shape is not None:
                yield [next(_sizes(data, one), None) for one in _fields(data, shape, _DIMENSION)]


def _fields(data: mmap, span: Span, number: int) -> Iterator[Span]:
    """Where the contents lie of every field of that number in a message; raises `ValueError` where there is none."""
    for found, start, end in _walk(data, span):
        if found == (number, _SPAN):
            yield start, end


def _sizes(data: mmap, span: Span) -> Iterator[int]:
    """The value of a dimension that has one: it may have a name instead, or be 0 or less where any size goes."""
    for found, start, _ in _walk(data, span):
        value = _varint(data, start)[0] if found == (_VALUE, _VARINT) else 0
        if 0 < value < 2**63:  # above that it stands for a negative number
            yield value


def _walk(data: mmap, span: Span) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Number and kind of each field of a message, and where its contents start and end."""
    at, end = span
    while at < end:
        tag, start = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _SPAN:
            length, start = _varint(data, start)
            at = start + length
        elif kind == _VARINT:
            at = _varint(data, start)[1]
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at = start + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"there is no kind of field {kind}")
        if number == 0 or at > end:
            raise ValueError("this is no ONNX file")
        yield (number, kind), start, at


def _varint(data: mmap, at: int) -> tuple[int, int]:
    """A number in seven bits a byte, the last without the eighth bit, and where it ends."""
    value = shift = 0
    while shift < 64:
        byte = data[at]
        at, value = at + 1, value | (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number of more than 64 bits")


def _openvino_inputs(file: Path) -> Iterator[Shape]:
    """The shape of each input of an OpenVINO graph, None where more than one size goes."""
    from xml.etree.ElementTree import iterparse  # start-up can do without it

    for _, element in iterparse(file):
        if element.tag != "layer":
            continue
        data = element.find("data")
        if element.get("type") == "Parameter" and data is not None:
            sides = (data.get("shape") or "").split(",")
            shape: Shape = []
            for side in sides:
                shape.append(None)
                with suppress(ValueError):  # "?" for any size, "1..64" for some
                    shape[-1] = int(side)
            yield shape
        element.clear()
