"""Weights as ComfyUI writes them: ``(more)`` and ``(as much:1.3)``.

Round brackets multiply the weight by 1.1; a number before the closing one replaces it, whatever brackets are around. A
backslash makes a round bracket a character. Text with a bracket that has no other stays as it is.
"""

import re
from collections.abc import Iterable, Iterator

from partway.prompts.pieces import DEEPEST, Piece, number, within

MORE = 1.1
EMBEDDING = "embedding:"
"""What stands before an embedding's name."""

_ESCAPED = {"(": "\x00", ")": "\x01"}
_NAMED = rf"[ \n](?={EMBEDDING})"


def pieces(text: str) -> tuple[Piece, ...]:
    """The pieces of a prompt; none for nothing."""
    hidden = text.replace("\x00", "").replace("\x01", "")
    for bracket, mark in _ESCAPED.items():
        hidden = hidden.replace(f"\\{bracket}", mark)
    return tuple(Piece(_shown(text), weight) for text, weight in _weighted(hidden, 1.0, 0))


def words(text: str) -> list[str]:
    """A piece's text, cut before each embedding that it names."""
    return [word for word in re.split(_NAMED, text) if word]


def named(word: str, known: Iterable[str]) -> tuple[str | None, str]:
    """The embedding that a word begins with, by the name it is known by, or None; and the text after it.

    The name may be a path, with or without the file's suffix; commas behind it are text.
    """
    said, _, rest = word.removeprefix(EMBEDDING).partition(" ")
    names = {name.casefold(): name for name in known}
    for own, left in ((said, ""), (said.rstrip(","), said[len(said.rstrip(",")) :])):
        last = re.split(r"[/\\]", own)[-1]
        for form in (own, last, *(one.rpartition(".")[0] for one in (own, last))):
            if form.casefold() in names:
                return names[form.casefold()], f"{left} {rest}".strip()
    return None, rest.strip()


def unread(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """The embeddings that a prompt names and that are not known, which are left out."""
    names = tuple(known)
    each = (word for piece in pieces(text) for word in words(piece.text) if word.startswith(EMBEDDING))
    return tuple(word.split()[0] for word in each if named(word, names)[0] is None)


def _shown(text: str) -> str:
    for bracket, mark in _ESCAPED.items():
        text = text.replace(mark, bracket)
    return text


def _weighted(text: str, weight: float, depth: int) -> Iterator[Piece]:
    for part in _parts(text):
        if depth < DEEPEST and len(part) > 1 and part[0] == "(" and part[-1] == ")":
            inner, own = part[1:-1], weight * MORE
            place = inner.rfind(":")
            if place > 0 and (given := number(inner[place + 1 :])) is not None:
                inner, own = inner[:place], given
            yield from _weighted(inner, within(own), depth + 1)
        else:
            yield Piece(part, weight)


def _parts(text: str) -> list[str]:
    """The text cut around its outermost brackets, which stay on; where brackets do not add up, the rest is one part."""
    found: list[str] = []
    begun, depth = 0, 0
    for place, char in enumerate(text):
        if char == "(":
            if depth == 0:
                found.append(text[begun:place])
                begun = place
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                found.append(text[begun : place + 1])
                begun = place + 1
    found.append(text[begun:])
    return [part for part in found if part]
