"""Weights that an ONNX file leaves to files beside it, which may be links to elsewhere.

ONNX Runtime and OpenVINO refuse a link that leads out of the folder that the graph lies in; the Hugging Face Hub's
cache is made of such links. So the graph is read here, and is given to an engine with its weights where they really
are. Field numbers are those of onnx.proto.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from partway.support.protobuf import Data, Span, field, spans, text, walk

_GRAPH, _INITIALIZER, _EXTERNAL, _KEY, _VALUE = 7, 5, 13, 1, 2

Places = dict[str, str]  # "location", "offset" and "length" of one tensor's data


def locations(graph: Path) -> frozenset[str]:
    """The names of the files, from the graph's folder on, that its weights lie in; raises `OSError` and `ValueError`.

    A graph that is no ONNX file, or was cut short, is a `ValueError`.
    """
    about = graph.stat()
    return _locations(graph, about.st_size, about.st_mtime_ns)


def linked(graph: Path) -> list[Path]:
    """The files of a graph's weights, if one of them leads elsewhere than beside it; none where all lie there."""
    files = [graph.parent / name for name in sorted(locations(graph))]
    beside = graph.parent.resolve()
    return files if any(file.resolve().parent != beside for file in files) else []


def moved(message: bytes, place: Callable[[Places], Places]) -> bytes:
    """A graph's model with other places of its external data."""
    return _rebuilt(message, (0, len(message)), _GRAPH, lambda span: _graph(message, span, place))


@lru_cache(64)
def _locations(graph: Path, size: int, changed: int) -> frozenset[str]:
    """The same of a graph in this state."""
    try:
        with _opened(graph) as data:
            graphs = list(spans(data, (0, len(data)), _GRAPH))
            tensors = [tensor for one in graphs for tensor in spans(data, one, _INITIALIZER)]
            places = [_places(data, tensor).get("location") for tensor in tensors]
    except LookupError as error:
        raise ValueError("it was cut short") from error
    if not graphs:
        raise ValueError("it holds no graph")
    return frozenset(name for name in places if name)


@contextmanager
def _opened(graph: Path) -> Iterator[mmap]:
    with graph.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data


def _places(data: Data, tensor: Span) -> Places:
    """Where a tensor's data lie, empty where it holds them itself."""
    found: Places = {}
    for entry in spans(data, tensor, _EXTERNAL):
        parts = {one.number: text(data, (one.start, one.end)) for one in walk(data, entry)}
        found[parts.get(_KEY, "")] = parts.get(_VALUE, "")
    return found


def _graph(data: Data, span: Span, place: Callable[[Places], Places]) -> bytes:
    return _rebuilt(data, span, _INITIALIZER, lambda tensor: _tensor(data, tensor, place))


def _tensor(data: Data, span: Span, place: Callable[[Places], Places]) -> bytes:
    places = _places(data, span)
    if not places:
        return bytes(data[span[0] : span[1]])
    rest = b"".join(data[one.head : one.end] for one in walk(data, span) if one.number != _EXTERNAL)
    entries = place(places).items()
    return rest + b"".join(
        field(_EXTERNAL, field(_KEY, key.encode()) + field(_VALUE, value.encode())) for key, value in entries
    )


def _rebuilt(data: Data, span: Span, number: int, change: Callable[[Span], bytes]) -> bytes:
    """A message with the contents of every field of one number changed."""
    return b"".join(
        field(number, change((one.start, one.end))) if one.number == number else data[one.head : one.end]
        for one in walk(data, span)
    )
