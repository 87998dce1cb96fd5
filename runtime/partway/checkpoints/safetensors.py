"""The header of a .safetensors file, checked here before any engine maps what it describes.

Eight bytes say how long the header is, in little-endian order; the header is JSON, each tensor's name with its type,
shape and the range of its bytes, counted from the header's end. The format's own reader accepts no holes, no overlap
and nothing beyond the last tensor, and neither does this one.
"""

import json
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from partway.engines.weights import BITS, Source, Weight
from partway.errors import PackageError
from partway.support.files import impostor

LONGEST = 32_000_000
"""Bytes of a header; those of the largest models take half a million, and some writers add pictures to that."""

_METADATA = "__metadata__"
_DOWNLOAD = "download it again"


class Header(NamedTuple):
    """The tensors of a file by name, and what its writer said of it."""

    weights: dict[str, Weight]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Read and check the header of the file at ``path``; nothing else of it is read.

    Raises `PackageError` saying what is wrong with it.
    """
    try:
        source = Source.of(path)
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            text = file.read(length) if len(start) == 8 and length <= min(LONGEST, source.size - 8) else None
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    if text is None:
        raise PackageError(f"{path} {_misnamed(path, length, source.size)}")
    try:
        entries = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise PackageError(f"{path} has no header of a .safetensors file; {_DOWNLOAD}") from None
    if not isinstance(entries, dict):
        raise PackageError(f"{path} has no header of a .safetensors file; {_DOWNLOAD}")
    metadata = entries.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise PackageError(f"{path} has metadata that are not text; {_DOWNLOAD}")
    weights = {name: _weight(name, entry, 8 + length, source) for name, entry in entries.items()}
    _check_ranges(weights, 8 + length, source)
    return Header(weights, metadata)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _weight(name: str, entry: Any, start: int, source: Source) -> Weight:
    """One tensor of the header, its bytes counted from the file's start."""
    known = isinstance(entry, dict) and entry.keys() >= {"dtype", "shape", "data_offsets"}
    if not known or not _counts(entry["shape"]) or not _range(entry["data_offsets"]):
        raise PackageError(f"{source.path} describes {name} in no way that .safetensors files do; {_DOWNLOAD}")
    dtype, shape = str(entry["dtype"]), entry["shape"]
    begin, end = entry["data_offsets"]
    if dtype not in BITS:
        raise PackageError(f"{source.path} has {name} of type {dtype}, which partway does not know")
    if end - begin != prod(shape) * BITS[dtype] // 8:
        sizes = "x".join(map(str, shape)) or "one number"
        raise PackageError(f"{source.path} has {end - begin} bytes of {name}, which is {sizes} of {dtype}; {_DOWNLOAD}")
    return Weight(source, dtype, tuple(shape), start + begin)


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _range(value: Any) -> bool:
    return _counts(value) and len(value) == 2 and value[0] <= value[1]


def _check_ranges(weights: dict[str, Weight], start: int, source: Source) -> None:
    """Raise `PackageError` unless the tensors follow one another to the end of the file."""
    end, before = start, "the header"
    for name, weight in sorted(weights.items(), key=lambda item: (item[1].offset, item[1].length)):
        if weight.offset != end:
            how = "overlap" if weight.offset < end else "leave a hole"
            raise PackageError(f"{source.path} has tensors that {how}: {before} and {name}; {_DOWNLOAD}")
        end, before = weight.offset + weight.length, name
    if end > source.size:
        raise PackageError(f"{source.path} ends {end - source.size} bytes too early; {_DOWNLOAD}")
    if end < source.size:
        raise PackageError(f"{source.path} goes on for {source.size - end} bytes after its last tensor; {_DOWNLOAD}")


def _misnamed(path: Path, length: int, size: int) -> str:
    """What a file is whose first bytes are no length of a header."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return (
            "is a pickle, whose loading runs whatever code is in it; take the .safetensors file of the same model, "
            "or convert it where nothing can be harmed"
        )
    if start.startswith(b"GGUF"):
        return "is a GGUF file, which has to be a model of its own"
    if other := impostor(path):
        return other
    if size >= 8 and LONGEST < length <= size - 8:
        return f"has a header of {length} bytes, where {LONGEST} are the most that partway reads; {_DOWNLOAD}"
    return f"is no .safetensors file, or was cut short; {_DOWNLOAD}"
