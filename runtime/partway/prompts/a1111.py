"""Emphasis as stable-diffusion-webui (A1111) writes it: ``(more)``, ``[less]``, ``(as much:1.3)``, and ``BREAK``.

Round brackets multiply weights by 1.1, square ones divide them by it, and a number before a closing round bracket
multiplies by itself. A bracket that is never closed reaches to the end. A backslash makes a bracket a character. What
changes from step to step is read before this: ``editing.py``.
"""

import re
from collections.abc import Iterator

from partway.prompts.pieces import DEEPEST, Groups, Piece, merged, number, within

MORE = 1.1

_TOKENS = re.compile(
    r"\\(?P<escaped>[()\[\]\\])|(?P<open>[(\[])|:\s*(?P<weight>[+-]?[.\d]+)\s*\)"
    r"|(?P<close>[)\]])|(?P<text>[^\\()\[\]:]+|.)",
    re.DOTALL,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


def groups(text: str) -> Groups:
    """The pieces of a prompt, in groups with a ``BREAK`` between them; never empty.

    A ``BREAK`` inside brackets is one too.
    """
    found = _pieces(text)
    grouped: list[list[Piece]] = [[]]
    for piece in found:
        if piece is None:
            grouped.append([])
        else:
            grouped[-1].append(piece)
    return tuple(merged(group) for group in grouped)


def _pieces(text: str) -> list[Piece | None]:
    """Pieces, and None for a ``BREAK``."""
    found: list[Piece | None] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(start: int, factor: float) -> None:
        for place in range(start, len(found)):
            if (piece := found[place]) is not None:
                found[place] = Piece(piece.text, within(piece.weight * factor))

    for kind, value, whole in _tokens(text):
        if kind == "open" and sum(map(len, opened.values())) < DEEPEST:
            opened[value].append(len(found))
        elif kind == "weight" and opened["("]:
            multiply(opened["("].pop(), float(value))
        elif kind == "close" and opened["(" if value == ")" else "["]:
            multiply(opened["(" if value == ")" else "["].pop(), MORE if value == ")" else 1 / MORE)
        else:
            found += _split(value) if kind == "text" else [Piece(value if kind == "escaped" else whole)]
    for bracket, factor in (("(", MORE), ("[", 1 / MORE)):
        for start in opened[bracket]:
            multiply(start, factor)
    return found or [Piece("")]


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Each token's kind, value and whole text; a number that is none is text, and the bracket behind it a bracket."""
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup or ""
        if kind == "weight" and number(match[kind]) is None:
            yield "text", match[0][:-1], match[0][:-1]
            yield "close", ")", ")"
        else:
            yield kind, match[kind], match[0]


def _split(text: str) -> list[Piece | None]:
    found: list[Piece | None] = []
    for index, part in enumerate(_BREAK.split(text)):
        found += [None, Piece(part)] if index else [Piece(part)]
    return found
