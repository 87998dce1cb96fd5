"""The embeddings of texts, put together of their chunks' by the rules of a syntax."""

from collections.abc import Callable, Sequence
from math import lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.model.emphasis import EMPHASIS
from partway.prompts.pieces import Chunk, Reading, Segment
from partway.prompts.syntaxes import SYNTAXES

Array = NDArray[np.float32]

MOST_REPEATS = 4
"""How many times the longest text is repeated at most for all to have one length; beyond, empty texts fill them up."""


class Encoded(NamedTuple):
    """What a text encoder gives for a chunk: tokens (N, D), and its pooled embedding (P,), None for models without."""

    tokens: Array
    pooled: Array | None


class TextEmbeddings(NamedTuple):
    """The text encoders' embeddings of B texts."""

    tokens: Array  # (B, N, D), an embedding for each token
    pooled: Array | None  # (B, P), the pooled embedding of each text; None for models that take none

    def zeros(self) -> "TextEmbeddings":
        """Zeros of the same shapes, which SDXL takes for an empty negative prompt."""
        return TextEmbeddings(np.zeros_like(self.tokens), None if self.pooled is None else np.zeros_like(self.pooled))


Encode = Callable[[Chunk], Encoded]


def embedded(readings: Sequence[Reading], encoders: Sequence[Encode], syntax: str, *, pooled: bool) -> TextEmbeddings:
    """A text's embeddings, from its reading by each text encoder; side by side, and ``pooled`` by the last of them."""
    each = [_tokens(reading, encode, syntax) for reading, encode in zip(readings, encoders, strict=True)]
    longest = max(map(len, each))
    filled = [_filled(tokens, longest, encode) for tokens, encode in zip(each, encoders, strict=True)]
    whole = encoders[-1](readings[-1].pooled).pooled if pooled else None
    return TextEmbeddings(np.concatenate(filled, axis=-1)[None], None if whole is None else whole[None])


def alike(texts: Sequence[TextEmbeddings], empty: Callable[[], TextEmbeddings], syntax: str) -> list[TextEmbeddings]:
    """Texts with as many tokens each, as the tool of the syntax makes them so.

    Attention to the same tokens several times over is attention to them once, so repeating changes nothing.
    """
    lengths = {text.tokens.shape[1] for text in texts}
    if len(lengths) == 1:
        return list(texts)
    whole = lcm(*lengths)
    if SYNTAXES[syntax].repeats and whole <= MOST_REPEATS * max(lengths):
        return [text._replace(tokens=np.tile(text.tokens, (1, whole // text.tokens.shape[1], 1))) for text in texts]
    return [text._replace(tokens=_behind(text.tokens, empty().tokens, max(lengths))) for text in texts]


def _tokens(reading: Reading, encode: Encode, syntax: str) -> Array:
    return np.concatenate([_segment(segment, encode, syntax) for segment in reading.segments])


def _segment(segment: Segment, encode: Encode, syntax: str) -> Array:
    made = [np.concatenate([_emphasised(chunk, encode, syntax) for chunk in term.chunks]) for term in segment.terms]
    longest = max(map(len, made))
    filled = [_filled(tokens, longest, encode) for tokens in made]
    if len(filled) == 1 and segment.terms[0].share == 1:
        tokens = filled[0]
    else:
        parts = (np.float32(term.share) * one for term, one in zip(segment.terms, filled, strict=True))
        tokens = np.sum(list(parts), axis=0, dtype=np.float32)
    if segment.weight == 1:
        return tokens
    empty = _filled(encode(()).tokens, longest, encode)
    return empty + (tokens - empty) * np.float32(segment.weight)


def _emphasised(chunk: Chunk, encode: Encode, syntax: str) -> Array:
    tokens, emphasis = encode(chunk).tokens, EMPHASIS[syntax]
    if emphasis is None or all(token.weight == 1 for token in chunk):
        return tokens
    weights = np.ones(len(tokens), np.float32)
    weights[1 : len(chunk) + 1] = [token.weight for token in chunk]
    return emphasis(tokens, weights, lambda: encode(()).tokens)


def _filled(tokens: Array, length: int, encode: Encode) -> Array:
    """Tokens (N, D) with the empty text's behind them until there are so many."""
    if len(tokens) == length:
        return tokens
    empty = encode(()).tokens
    return np.concatenate([tokens, *[empty] * ((length - len(tokens)) // len(empty))])


def _behind(tokens: Array, empty: Array, length: int) -> Array:
    return np.concatenate([tokens, *[empty] * ((length - tokens.shape[1]) // empty.shape[1])], axis=1)
