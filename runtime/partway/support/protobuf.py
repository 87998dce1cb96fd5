"""Messages of protobuf, which ONNX files are: walked field by field where they lie, and put together anew.

A message is a row of fields, each with a number and a kind; what is long has its length before it and is stepped over,
so that of a file of gigabytes a few pages are read.
"""

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

Data = bytes | mmap
Span = tuple[int, int]  # where contents start and end

VARINT, EIGHT_BYTES, SPAN, FOUR_BYTES = 0, 1, 2, 5
"""Kinds of fields."""


class Field(NamedTuple):
    """A field of a message, and where its contents start and end; ``head`` is where the field itself starts."""

    number: int
    kind: int
    start: int
    end: int
    head: int


def walk(data: Data, span: Span) -> Iterator[Field]:
    """Every field of a message; raises `ValueError` where there is none, and IndexError where the data end."""
    at, end = span
    while at < end:
        tag, start = varint(data, at)
        head, number, kind = at, tag >> 3, tag & 7
        if kind == SPAN:
            length, start = varint(data, start)
            at = start + length
        elif kind == VARINT:
            at = varint(data, start)[1]
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            at = start + (8 if kind == EIGHT_BYTES else 4)
        else:
            raise ValueError(f"there is no kind of field {kind}")
        if number == 0 or at > end:
            raise ValueError("this is no message of protobuf, or it was cut short")
        yield Field(number, kind, start, at, head)


def spans(data: Data, span: Span, number: int) -> Iterator[Span]:
    """Where the contents lie of every field of that number whose length is given; raises as `walk`."""
    return ((one.start, one.end) for one in walk(data, span) if (one.number, one.kind) == (number, SPAN))


def text(data: Data, span: Span) -> str:
    """Contents as text; raises `ValueError` where they are none."""
    return bytes(data[span[0] : span[1]]).decode("utf-8")


def varint(data: Data, at: int) -> tuple[int, int]:
    """A number in seven bits a byte, the last without the eighth bit, and where it ends."""
    value = shift = 0
    while shift < 64:
        byte = data[at]
        at, value = at + 1, value | (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number of more than 64 bits")


def field(number: int, contents: bytes | str) -> bytes:
    """A field whose length is given, as it is stored; text in UTF-8."""
    contents = contents.encode() if isinstance(contents, str) else contents
    return _stored(number << 3 | SPAN) + _stored(len(contents)) + contents


def integer(number: int, value: int) -> bytes:
    """A field that holds a whole number, of 64 bits at most."""
    return _stored(number << 3 | VARINT) + _stored(value)


def real(number: int, value: float) -> bytes:
    """A field that holds a float32."""
    return _stored(number << 3 | FOUR_BYTES) + struct.pack("<f", value)


def _stored(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers in two's complement
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
