"""From pieces of text to chunks of weighted tokens, by each tool's own rules of where a text may be cut."""

from collections.abc import Callable, Iterator, Sequence
from math import pi, tan
from typing import TYPE_CHECKING

from partway.prompts import comfyui
from partway.prompts.pieces import Chunk, Groups, Piece, Reading, Segment, Term, Token, Vector, Vocabulary

if TYPE_CHECKING:
    from partway.prompts.compel import Conjunction, Fragments

BACKTRACK = 20
"""How far from a chunk's end A1111 looks for a comma to cut at."""

WHOLE = 8
"""Fewer tokens than this ComfyUI keeps together."""

Items = list[int | Vector]
_LEAST = 1e-5  # weight of compel's
_SENTENCE, _PHRASE = (".</w>",), (".</w>", ",</w>", ";</w>", ":</w>")


def one(text: str, vocabulary: Vocabulary) -> tuple[Chunk, ...]:
    """The beginning of a text, as much as one chunk has room for."""
    return (tuple(map(Token, tokenised(text, vocabulary)[: vocabulary.length])),)


def tokenised(text: str, vocabulary: Vocabulary) -> Items:
    """The tokens of a text, in which an embedding stands wherever its name does, spelled exactly so."""
    found: Items = []
    while text:
        places = [(text.find(name), -len(name), name) for name in vocabulary.vectors if name in text]
        if not places:
            return found + vocabulary.ids(text)
        place, _, name = min(places)
        found += [*vocabulary.ids(text[:place]), *vocabulary.embedding(name)]
        text = text[place + len(name) :]
    return found


def by_commas(groups: Groups, vocabulary: Vocabulary) -> tuple[Chunk, ...]:
    """A1111's chunks: a full one is cut behind a comma near its end, and a group begins a new one.

    An embedding stands wherever the tokens of its name do; its vectors stay together.
    """
    names = sorted(((vocabulary.ids(name), name) for name in vocabulary.vectors), key=lambda one: -len(one[0]))
    chunks: list[Chunk] = []
    left: list[Token] = []
    comma = vocabulary.ids(",")[-1:]
    for number, group in enumerate(groups):
        if number:
            chunks.append(tuple(left))
            left = []
        last = None  # place of the last comma
        for piece, found in _found(group, names, vocabulary):
            if found == comma:
                last = len(left)
            elif len(left) == vocabulary.length and last is not None and vocabulary.length - last <= BACKTRACK:
                chunks.append(tuple(left[: last + 1]))
                left, last = left[last + 1 :], None
            if len(left) + len(found) > vocabulary.length:
                chunks.append(tuple(left))
                left, last = [], None
            left += [Token(item, piece.weight) for item in found]
    return (*chunks, tuple(left)) if left or not chunks else tuple(chunks)


def _found(
    group: Sequence[Piece], names: Sequence[tuple[list[int], str]], vocabulary: Vocabulary
) -> Iterator[tuple[Piece, Items]]:
    """One token after the other, or the vectors of an embedding, with the piece that it is of."""
    for piece in group:
        ids, place = vocabulary.ids(piece.text), 0
        while place < len(ids):
            fits = (one for one in names if one[0] and ids[place : place + len(one[0])] == one[0])
            own, name = next(fits, ([ids[place]], None))
            yield piece, vocabulary.embedding(name) if name is not None else [*own]
            place += len(own)


def by_words(pieces: Sequence[Piece], vocabulary: Vocabulary) -> tuple[Chunk, ...]:
    """ComfyUI's chunks: what has fewer than `WHOLE` tokens is not cut, an embedding among it."""
    chunks: list[Chunk] = []
    left: list[Token] = []
    for piece in pieces:
        for items in _words(piece.text, vocabulary):
            tokens = [Token(item, piece.weight) for item in items]
            while len(left) + len(tokens) > vocabulary.length:
                room = vocabulary.length - len(left) if len(tokens) >= WHOLE else 0
                chunks.append((*left, *tokens[:room]))
                left, tokens = [], tokens[room:]
            left += tokens
    return (*chunks, tuple(left)) if left or not chunks else tuple(chunks)


def _words(text: str, vocabulary: Vocabulary) -> Iterator[Items]:
    for word in comfyui.words(text):
        rest = word
        if word.startswith(comfyui.EMBEDDING):
            name, rest = comfyui.named(word, vocabulary.vectors)
            if name is not None:
                yield vocabulary.embedding(name)
        if rest:
            yield [*vocabulary.ids(rest)]


def by_sentences(items: Sequence[Token], vocabulary: Vocabulary) -> tuple[Chunk, ...]:
    """compel's chunks: cut behind the last full stop that fits, else behind a phrase, else behind a word."""
    chunks: list[Chunk] = []
    left = list(items)
    while len(left) > vocabulary.length:
        cut = _cut(left[: vocabulary.length], vocabulary)
        chunks.append(tuple(left[:cut]))
        left = left[cut:]
    return (*chunks, tuple(left))


def _cut(tokens: Sequence[Token], vocabulary: Vocabulary) -> int:
    texts = [vocabulary.token_text(token.item) if isinstance(token.item, int) else "" for token in tokens]
    rules: tuple[Callable[[str], bool], ...] = (
        lambda text: text in _SENTENCE,
        lambda text: text in _PHRASE,
        lambda text: text.endswith("</w>"),
    )
    for fits in rules:
        places = [place for place, text in enumerate(texts) if fits(text)]
        if places:
            return places[-1] + 1
    return len(tokens)


def combined(meant: "Conjunction", text: str, vocabulary: Vocabulary) -> Reading:
    """compel's reading of a text: terms for each blend, and one without each fragment that weighs less than 1."""
    segments = []
    for blend, weight in zip(meant.blends, meant.weights, strict=True):
        total = sum(blend.weights) if blend.normal else 1.0
        terms = [
            Term(share / total * own, chunks)
            for fragments, share in zip(blend.texts, blend.weights, strict=True)
            for own, chunks in _terms(fragments, vocabulary)
        ]
        segments.append(Segment(tuple(terms), weight))
    return Reading(tuple(segments), tuple(map(Token, tokenised(text, vocabulary)[: vocabulary.length])))


def _terms(fragments: "Fragments", vocabulary: Vocabulary) -> Iterator[tuple[float, tuple[Chunk, ...]]]:
    """The shares of a text's chunks, and of those without what counts less, which add up to 1."""
    tokens = [[Token(item, one.weight) for item in tokenised(one.text, vocabulary)] for one in fragments]
    shares = [tan((1 - max(one.weight, _LEAST)) * pi / 2) if one.weight < 1 else 0.0 for one in fragments]
    total = 1 + sum(shares)
    yield 1 / total, by_sentences([token for some in tokens for token in some], vocabulary)
    for place, share in enumerate(shares):
        if share:
            without = [token for number, some in enumerate(tokens) if number != place for token in some]
            yield share / total, by_sentences(without, vocabulary)
