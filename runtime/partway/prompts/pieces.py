"""What prompts are made of: pieces of text with weights before tokens are known, and weighted tokens after."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import NamedTuple

MOST = 1000.0
"""No weight is further from 0, so that products of many stay numbers."""

DEEPEST = 60
"""Brackets inside brackets that are read; deeper ones are text."""

Groups = tuple[tuple["Piece", ...], ...]


class Piece(NamedTuple):
    """Text that is tokenised by itself, and the weight of its tokens."""

    text: str
    weight: float = 1.0


class Vector(NamedTuple):
    """A vector of an embedding (textual inversion), which takes the place of a token's own."""

    name: str
    number: int


class Token(NamedTuple):
    """A token's number, or the vector in its place, and its weight."""

    item: int | Vector
    weight: float = 1.0


Chunk = tuple[Token, ...]
"""What a text encoder reads at once, without its begin and end."""


class Term(NamedTuple):
    """Chunks side by side, and how much of their embedding counts in a `Segment`."""

    share: float
    chunks: tuple[Chunk, ...]


class Segment(NamedTuple):
    """A part of a text's embedding: the sum of its terms, moved from the empty text's embedding by ``weight``."""

    terms: tuple[Term, ...]
    weight: float = 1.0


class Reading(NamedTuple):
    """A text as one tokenizer and one syntax read it.

    segments  side by side along the tokens' axis
    pooled    the chunk whose pooled embedding stands for all
    """

    segments: tuple[Segment, ...]
    pooled: Chunk

    @classmethod
    def of(cls, chunks: tuple[Chunk, ...]) -> "Reading":
        """Chunks as they are; the first is pooled."""
        return cls((Segment((Term(1.0, chunks),)),), chunks[0])


class Vocabulary(NamedTuple):
    """A tokenizer's vocabulary, and the embeddings beside it.

    ids         the tokens of a text, without begin and end
    token_text  a token's text, which ends with "</w>" where a word does
    vectors     how many an embedding has, by its name
    length      how many tokens a chunk may have
    """

    ids: Callable[[str], list[int]]
    token_text: Callable[[int], str]
    vectors: Mapping[str, int]
    length: int

    def embedding(self, name: str) -> list[int | Vector]:
        """The vectors of an embedding."""
        return [Vector(name, number) for number in range(self.vectors[name])]


def within(weight: float) -> float:
    """The weight, no further from 0 than `MOST`."""
    return max(-MOST, min(MOST, weight))


def number(text: str) -> float | None:
    """A number as Python writes it, None for what is none or is infinite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def merged(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Neighbours of equal weight as one piece."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].weight == piece.weight:
            found[-1] = Piece(found[-1].text + piece.text, piece.weight)
        else:
            found.append(piece)
    return tuple(found)
