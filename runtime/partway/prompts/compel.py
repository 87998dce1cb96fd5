"""Weights as compel writes them: ``word++``, ``word-``, ``(some words)1.3``, ``("a", "b").blend(1, 2)``, ``.and()``.

A plus multiplies by 1.1, a minus by 0.9, a number behind brackets or quotes by itself; nesting multiplies. A blend is a
weighted mean of embeddings, ``.and()`` puts them side by side. ``.swap()`` keeps the text that it would replace, and
``withLora()`` is left out, for neither is an embedding: `Conjunction.unread` has them.
"""

import re
from typing import NamedTuple

from partway.prompts.pieces import DEEPEST, Piece, number, within

MORE, LESS = 1.1, 0.9

Fragments = tuple[Piece, ...]

_COMMA = re.compile(r",(\S)")
_SYNTAX = r'()",.+=\-'
_WORD = re.compile(rf"(?:\\[{_SYNTAX}]|[-+](?=[^\s{_SYNTAX}])|[^\s{_SYNTAX}])+")
_RUN = re.compile(r"\S+")
_TIMES = re.compile(r"\++|-+|\d+\.\d*|\.\d+|\d+")
_SIGNS = re.compile(r"\++|-+")
_ATTEND = re.compile(r"\.attend\(\s*(\++|-+|\d+\.?\d*|\.\d+)\s*\)")
_SWAP = re.compile(r"\.swap\((?:[^()]|\([^()]*\))*\)")
_LORA = re.compile(r"(?:useLora|withLora)\(\s*[\w-]+\s*(?:,\s*[+-]?[\d.]+\s*)?\)")
_QUOTED = re.compile(r'"((?:\\"|[^"\n])*)"')
_OPERATOR = re.compile(r"\)\s*\.(blend|and|add)\s*\(([^()]*)\)\s*")
_ESCAPED = re.compile(r'\\([()"])')


class Blend(NamedTuple):
    """Texts whose embeddings are added with these weights, which are divided by their sum if ``normal``."""

    texts: tuple[Fragments, ...]
    weights: tuple[float, ...]
    normal: bool = True


class Conjunction(NamedTuple):
    """Blends whose embeddings stand side by side, with their weights; unread: what is no embedding."""

    blends: tuple[Blend, ...]
    weights: tuple[float, ...]
    unread: tuple[str, ...] = ()


class _Found(NamedTuple):
    """Fragments, and the place behind them."""

    fragments: list[Piece]
    end: int


def conjunction(text: str) -> Conjunction:
    """The meaning of a prompt; it is never empty."""
    parser = _Parser(_COMMA.sub(r", \1", text))
    found = parser.operated() or Conjunction((Blend((fused(parser.prompt()),), (1.0,)),), (1.0,))
    return found._replace(unread=tuple(parser.unread))


def fused(fragments: list[Piece]) -> Fragments:
    """Neighbours of equal weight as one, with a space between them; one empty fragment for none."""
    found: list[Piece] = []
    for piece in fragments:
        if found and found[-1].weight == piece.weight:
            found[-1] = Piece(f"{found[-1].text} {piece.text}", piece.weight)
        else:
            found.append(piece)
    return tuple(found) or (Piece(""),)


class _Parser:
    """Reads one text, and remembers what it has read of brackets, so that none is read twice."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self._text, self._depth = text, depth
        self._known: dict[int, _Found | None] = {}
        self.unread: list[str] = []

    def prompt(self) -> list[Piece]:
        """The fragments of the whole text, where what has no meaning is text."""
        found: list[Piece] = []
        place = self._behind_space(0)
        while place < len(self._text):
            item = self._item(place, 0, inside=False)
            if item is None:
                run = _RUN.match(self._text, place)
                item = _Found([_piece(run[0])], run.end()) if run else _Found([], place + 1)
            found += item.fragments
            place = self._behind_space(item.end)
        return found

    def operated(self) -> Conjunction | None:
        """A blend or a conjunction that is the whole text; None if it is none."""
        place = self._behind_space(0)
        texts: list[Fragments] = []
        while self._text[place : place + 1] == ("," if texts else "("):
            place = self._behind_space(place + 1)
            target = self._target(place, 0) or self._quoted_prompt(place)
            if target is None:
                return None
            texts.append(fused(target.fragments))
            place = self._behind_space(target.end)
        operator = _OPERATOR.fullmatch(self._text, place) if texts else None
        return None if operator is None else _operated(texts, operator[1], operator[2])

    def fragments(self, place: int, end: str, depth: int) -> _Found | None:
        """Those up to a character, or up to the end of the text; None where something has no meaning there."""
        found: list[Piece] = []
        place = self._behind_space(place)
        while self._text[place : place + 1] != end:
            item = self._item(place, depth, inside=True) if place < len(self._text) else None
            if item is None:
                return None
            found += item.fragments
            place = self._behind_space(item.end)
        return _Found(found, place + len(end))

    def _item(self, place: int, depth: int, *, inside: bool) -> _Found | None:
        if lora := _LORA.match(self._text, place):
            self.unread.append(lora[0])
            return _Found([], lora.end())
        target = self._target(place, depth)
        if target is None:
            mark = self._text[place]
            return _Found([Piece(mark)], place + 1) if inside and mark in ",." else None
        bracketed = self._text[place] in '("'
        if attend := _ATTEND.match(self._text, target.end):
            return _Found(_times(target.fragments, attend[1]), attend.end())
        if swap := _SWAP.match(self._text, target.end):
            self.unread.append(swap[0])
            return target._replace(end=swap.end())
        if times := (_TIMES if bracketed else _SIGNS).match(self._text, target.end):
            return _Found(_times(target.fragments, times[0]), times.end())
        return target if bracketed or inside else None

    def _target(self, place: int, depth: int) -> _Found | None:
        """What an operator can be applied to: brackets, quotes or a word."""
        if self._text[place : place + 1] not in ("(", '"'):
            word = _WORD.match(self._text, place)
            return word and _Found([_piece(word[0])], word.end())
        if place not in self._known:
            deeper = self._depth + depth + 1
            read = self._bracketed if self._text[place] == "(" else self._quoted
            self._known[place] = read(place, depth + 1) if deeper < DEEPEST else None
        return self._known[place]

    def _bracketed(self, place: int, depth: int) -> _Found | None:
        return self.fragments(place + 1, ")", depth)

    def _quoted(self, place: int, depth: int) -> _Found | None:
        quoted = _QUOTED.match(self._text, place)
        if quoted is None or not quoted[1].strip():
            return quoted and _Found([Piece("")], quoted.end())
        parser = _Parser(quoted[1], self._depth + depth)
        found = parser.fragments(0, "", depth)
        self.unread += parser.unread
        return found and _Found(found.fragments, quoted.end())

    def _quoted_prompt(self, place: int) -> _Found | None:
        """A quoted text in a list, where what has no meaning is text too."""
        quoted = _QUOTED.match(self._text, place)
        return quoted and _Found(_Parser(quoted[1], self._depth + 1).prompt(), quoted.end())

    def _behind_space(self, place: int) -> int:
        while place < len(self._text) and self._text[place].isspace():
            place += 1
        return place


def _piece(text: str) -> Piece:
    return Piece(_ESCAPED.sub(r"\1", text))


def _times(fragments: list[Piece], said: str) -> list[Piece]:
    """Fragments with the factor that signs or a number stand for."""
    factor = MORE ** min(len(said), 99) if said[0] == "+" else LESS ** len(said) if said[0] == "-" else float(said)
    return [Piece(piece.text, within(piece.weight * within(factor))) for piece in fragments]


def _operated(texts: list[Fragments], operator: str, options: str) -> Conjunction | None:
    """Texts under an operator; None where its numbers do not go with them."""
    said = [option.strip() for option in options.split(",")] if options.strip() else []
    normal = not (operator == "blend" and said[-1:] == ["no_normalize"])
    weights = tuple(map(number, said if normal else said[:-1])) or (1.0,) * len(texts)
    if len(weights) != len(texts) or None in weights:
        return None
    given = tuple(within(weight) for weight in weights if weight is not None)
    if operator != "blend":
        return Conjunction(tuple(Blend((text,), (1.0,)) for text in texts), given)
    if normal and abs(sum(given)) < 1e-6:
        return None
    return Conjunction((Blend(tuple(texts), given, normal),), (1.0,))
