"""How files break: bytes that are flipped, cut, doubled or overwritten, and JSON whose values are others."""

import json
import random
from typing import Any

SIZES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\x40\0", b"\0\x40\0\0", b"\x10\0\0\0")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 77, 1000, 100_000, 2**31, 2**63, 10**400, 0.5, -0.0, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), "", "x", "0", "1e5", "\0", "\x1b[2J\n", "é" * 5, "x" * 5000, "\ud800",
    "../../../etc/passwd", "/dev/null",
    [], [None], [1], [1, 2], [0.5, "x"], [[]], {}, {"a": 1}, {"": {}}, [[1, 2], [3]],
)  # fmt: skip
TEXTS = (
    b"", b"\0", b"{}", b"[]", b"null", b"{", b"\xff\xfe{\0}\0", b"<!DOCTYPE html><html></html>", b"[" * 20_000,
    b'{"a":' * 20_000, b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3438167540\n", b"PK\x03\x04",
)  # fmt: skip


def broken(random_: random.Random, data: bytes, other: bytes = b"") -> bytes:
    """The bytes of a file with one to three faults; ``other``: another file's, to splice."""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        data = random_.choice(FAULTS)(random_, data, other)
    return data


def _place(random_: random.Random, data: bytes) -> int:
    """Somewhere in it, in its first bytes as often as not."""
    return random_.randrange(min(len(data), 64) if random_.random() < 0.5 else len(data)) if data else 0


def flipped(random_: random.Random, data: bytes, other: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 8, 50)) if data else 0):
        made[_place(random_, data)] ^= 1 << random_.randrange(8)
    return bytes(made)


def cut(random_: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(random_, data)]


def overwritten(random_: random.Random, data: bytes, other: bytes) -> bytes:
    at = _place(random_, data)
    put = random_.choice((*SIZES, random_.randbytes(4), random_.randbytes(30), b"\0" * 100))
    return data[:at] + put + data[at + len(put) :]


def inserted(random_: random.Random, data: bytes, other: bytes) -> bytes:
    at = _place(random_, data)
    return data[:at] + random_.randbytes(random_.choice((1, 4, 100))) + data[at:]


def left_out(random_: random.Random, data: bytes, other: bytes) -> bytes:
    at = _place(random_, data)
    return data[:at] + data[at + random_.choice((1, 2, 4, 30, 500)) :]


def doubled(random_: random.Random, data: bytes, other: bytes) -> bytes:
    at, size = _place(random_, data), random_.choice((1, 8, 100, 1000))
    return data[: at + size] + data[at:]


def spliced(random_: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(random_, data)] + other[_place(random_, other) :]


FAULTS = (flipped, flipped, flipped, cut, overwritten, overwritten, inserted, left_out, doubled, spliced)


def altered(random_: random.Random, content: Any) -> bytes:
    """A JSON file with another value or two, a name left out or added; or its bytes broken, or no JSON at all."""
    if random_.random() < 0.06:
        return random_.choice(TEXTS)
    if random_.random() < 0.15:
        return broken(random_, json.dumps(content).encode(), b'{"a": [1, 2]}')
    content = json.loads(json.dumps(content))
    for _ in range(random_.choice((1, 1, 2, 3))):
        content = _with_another(random_, content)
    return json.dumps(content).encode()


def _with_another(random_: random.Random, content: Any) -> Any:
    """The value with one of those within it changed."""
    if isinstance(content, dict) and content and random_.random() < 0.9:
        key = random_.choice(sorted(content))
        what = random_.random()
        if what < 0.1:
            return {name: value for name, value in content.items() if name != key}
        if what < 0.15:
            return content | {random_.choice(("x", "", "strength", "__class__", "seed")): random_.choice(VALUES)}
        return content | {key: _with_another(random_, content[key])}
    if isinstance(content, list) and content and random_.random() < 0.7:
        at = random_.randrange(len(content))
        return [*content[:at], _with_another(random_, content[at]), *content[at + random_.choice((0, 1, 1)) :]]
    return random_.choice(VALUES)
