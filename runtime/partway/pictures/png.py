"""PNG files whose text or colour profile is larger than Pillow reads: a workflow, an edit history, a printer's profile.

Pillow refuses a file for it, be the pixels as sound as they are. Here such text is left out unread, and the profile is
kept. Chunks are those of the PNG specification, section 11.
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS, _PROFILE = (b"tEXt", b"zTXt", b"iTXt"), b"iCCP"
_CHUNK = 1_000_000  # bytes of a compressed text or profile that Pillow reads
_ALL = 32_000_000  # of all texts together
_LARGEST_PROFILE = 64_000_000


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    end: int
    body: bytes  # of a text or a profile


def readable(name: str) -> tuple[str | BytesIO, bytes | None]:
    """What Pillow can open in the place of a file, and the profile where that had to be left out; raises OSError."""
    with open(name, "rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return name, None
        left = list(_too_large(_chunks(file)))
        if not left:
            return name, None
        slim, at = BytesIO(), 0
        for chunk in left:
            file.seek(at)
            slim.write(file.read(chunk.start - at))
            at = chunk.end
        file.seek(at)
        slim.write(file.read())
    slim.seek(0)
    profiles = [_unpacked(chunk.body, _LARGEST_PROFILE) for chunk in left if chunk.kind == _PROFILE]
    return slim, next((profile for profile in profiles if len(profile) <= _LARGEST_PROFILE), None)


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """The file's chunks as far as they are whole; the rest is for Pillow to judge."""
    size = file.seek(0, 2)
    at = len(_SIGNATURE)
    while at + 12 <= size:
        file.seek(at)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        end = at + 12 + length
        if end > size:
            return
        yield _Chunk(kind, at, end, file.read(length) if kind in (*_TEXTS, _PROFILE) else b"")
        at = end


def _too_large(chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
    total = 0
    for chunk in chunks:
        plain = chunk.kind == b"tEXt" or (chunk.kind == b"iTXt" and chunk.body.partition(b"\0")[2][:1] == b"\0")
        size = len(chunk.body) if plain else len(_unpacked(chunk.body, _CHUNK))
        total += size if chunk.kind in _TEXTS else 0
        if total > _ALL or (not plain and size > _CHUNK):
            total -= size if chunk.kind in _TEXTS else 0
            yield chunk


def _unpacked(body: bytes, limit: int) -> bytes:
    """The contents of a compressed chunk, cut a byte beyond the limit; empty where there are none.

    Before them are a name and a number, of international text also its languages.
    """
    data = body.partition(b"\0")[2]
    for packed in (data[1:], data[2:].partition(b"\0")[2].partition(b"\0")[2]):
        try:
            return zlib.decompressobj().decompress(packed, limit + 1)
        except zlib.error:
            continue
    return b""
