"""The words of one run: what it reads of its prompts at each step, and the chunks that its text encoders are given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError
from partway.model.tokens import Tokenizer
from partway.prompts.chunks import tokenised
from partway.prompts.editing import Joined
from partway.prompts.pieces import Chunk, Reading, Vector
from partway.prompts.syntaxes import SYNTAXES
from partway.settings import Settings

Array = NDArray[np.float32]
Items = tuple[int | Vector, ...]
"""The tokens of a chunk without their weights; none are the empty text."""


class Text(NamedTuple):
    """A text for all text encoders, or for the first alone where ``second`` is the second one's."""

    first: str
    second: str | None = None

    def of(self, index: int) -> str:
        """What a text encoder reads."""
        return self.first if index == 0 or self.second is None else self.second


class Embeds(NamedTuple):
    """Embeddings given in place of a prompt, by diffusers' names; a batch of one may be left out.

    prompt_embeds          (N, D) or (1, N, D)
    pooled_prompt_embeds   (P,) or (1, P), for models that take one (SDXL)
    negative_prompt_embeds, negative_pooled_prompt_embeds  the same of the negative prompt; None for its text
    """

    prompt_embeds: Array
    pooled_prompt_embeds: Array | None = None
    negative_prompt_embeds: Array | None = None
    negative_pooled_prompt_embeds: Array | None = None


Prompt = str | Embeds


@dataclass(frozen=True)
class Words:
    """What a run reads.

    steps     how many the run makes
    prompts   of each prompt that is joined with others, its text at each step; empty where embeddings are given
    negative  the text at each step; empty where nothing reads it
    given     embeddings in place of the texts
    vectors   how many vectors each embedding (textual inversion) has that a text may name
    """

    settings: Settings
    steps: int
    prompts: tuple[tuple[Text, ...], ...]
    negative: tuple[Text, ...]
    given: Embeds | None = None
    vectors: Mapping[str, int] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[Text, ...]:
        """All different ones."""
        return tuple(dict.fromkeys(text for each in (*self.prompts, self.negative) for text in each))

    def at(self, step: int) -> tuple[Text, ...]:
        """The texts of a step."""
        return tuple(each[step] for each in (*self.prompts, self.negative) if each)

    def left_out(self) -> tuple[str, ...]:
        """What the texts name that is not read."""
        unread = SYNTAXES[self.settings.prompt_syntax].unread
        sides = (side for text in self.texts for side in (text.first, text.second) if side is not None)
        return tuple(dict.fromkeys(name for side in sides for name in unread(side, self.vectors)))

    def cut(self, text: str, tokenizer: Tokenizer) -> str:
        """The end of a text that is not read; empty if all of it is."""
        if SYNTAXES[self.settings.prompt_syntax].long:
            return ""
        left = tokenised(text, tokenizer.vocabulary(self.vectors))[tokenizer.length - 2 :]
        return tokenizer.text([one for one in left if isinstance(one, int)]) or ("its end" if left else "")

    def check_given(self, length: int) -> None:
        """Raise `InputError` where embeddings meet a text, in chunks of ``length``, that cannot be as long."""
        tokens = length if self.given is None else self.given.prompt_embeds.shape[1]
        if self.negative and tokens % length:
            raise InputError(
                f"prompt_embeds have {tokens} tokens, and the negative prompt a multiple of {length}; give "
                "negative_prompt_embeds too"
            )

    def longest(self, tokenizers: Sequence[Tokenizer]) -> int:
        """The most tokens that a text has, each chunk's begin and end among them."""
        each = [
            count(self.reading(text, index, tokenizer)) * tokenizer.length
            for text in self.texts
            for index, tokenizer in enumerate(tokenizers)
        ]
        return max([*each, 0 if self.given is None else self.given.prompt_embeds.shape[1]])

    def reading(self, text: Text, index: int, tokenizer: Tokenizer) -> Reading:
        """A text as a text encoder reads it."""
        return SYNTAXES[self.settings.prompt_syntax].read(text.of(index), tokenizer.vocabulary(self.vectors))

    def chunks(self, tokenizers: Sequence[Tokenizer], *, pooled: bool) -> list[list[Items]]:
        """All different chunks that each text encoder is given; ``pooled`` is whether the model takes that of a text.

        The empty text's is among them where another is moved from it, or is filled up with it.
        """
        each: list[list[Reading]] = [
            [self.reading(text, index, tokenizer) for text in self.texts] for index, tokenizer in enumerate(tokenizers)
        ]
        lengths = {count(reading) for readings in each for reading in readings}
        moves = SYNTAXES[self.settings.prompt_syntax].moves
        found = [[chunk for reading in readings for chunk in _chunks(reading, moves=moves)] for readings in each]
        found[-1] += [reading.pooled for reading in each[-1]] * pooled
        if len(lengths) > 1 or (self.given is not None and self.texts):
            found = [[*chunks, ()] for chunks in found]
        return [list(dict.fromkeys(map(items_of, chunks))) for chunks in found]

    def names_embeddings(self, tokenizers: Sequence[Tokenizer]) -> bool:
        """Whether a text names an embedding."""
        if not self.vectors:
            return False
        each = (items for chunks in self.chunks(tokenizers, pooled=False) for items in chunks)
        return any(isinstance(item, Vector) for items in each for item in items)


def items_of(chunk: Chunk) -> Items:
    """A chunk's tokens without their weights."""
    return tuple(token.item for token in chunk)


def joined(prompt: Prompt, settings: Settings) -> tuple[Joined, ...]:
    """The prompts that ``AND`` joins, in syntaxes that have it; one for embeddings."""
    if isinstance(prompt, str):
        return SYNTAXES[settings.prompt_syntax].joined(prompt)
    return (Joined(""),)


def at_each(text: str, second: str | None, settings: Settings, steps: int) -> tuple[Text, ...]:
    """A text at each step."""
    at_steps = SYNTAXES[settings.prompt_syntax].at_steps
    seconds: Iterable[str | None] = [None] * steps if second is None else at_steps(second, steps)
    return tuple(Text(*both) for both in zip(at_steps(text, steps), seconds, strict=True))


def count(reading: Reading) -> int:
    """How many chunks there are side by side."""
    return sum(max(len(term.chunks) for term in segment.terms) for segment in reading.segments)


def _chunks(reading: Reading, *, moves: bool) -> Iterator[Chunk]:
    """The chunks of a reading, and the empty text's where it has a part in what comes of them."""
    for segment in reading.segments:
        chunks = [chunk for term in segment.terms for chunk in term.chunks]
        yield from chunks
        weighs = moves and any(token.weight != 1 for chunk in chunks for token in chunk)
        if weighs or segment.weight != 1 or len({len(term.chunks) for term in segment.terms}) > 1:
            yield ()


def checked(embeds: Embeds, tokens: int | None, pooled: int | None) -> Embeds:
    """Embeddings as float32 of shapes (1, N, D) and (1, P); raises `InputError` naming what does not fit.

    ``tokens`` and ``pooled`` are the widths that the model takes, None for any, and where it takes no pooled embedding.
    """
    first = _shaped("prompt_embeds", embeds.prompt_embeds, (1, None, tokens))
    other = _or_none("negative_prompt_embeds", embeds.negative_prompt_embeds, (1, None, tokens))
    if other is not None and first.shape != other.shape:
        counts = f"{first.shape[1]} tokens and negative_prompt_embeds {other.shape[1]}"
        raise InputError(f"prompt_embeds have {counts}; give both as many")
    names = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    given = [getattr(embeds, name) for name in names]
    if pooled is None:
        if any(one is not None for one in given):
            raise InputError(f"this model takes no pooled embeddings; leave out {' and '.join(names)}")
        return Embeds(first, None, other, None)
    if given[0] is None or (given[1] is None) != (other is None):
        raise InputError(f"this model takes a pooled embedding of {pooled} numbers with each text's; give {names[0]}")
    whole, other_whole = (_or_none(name, one, (1, pooled)) for name, one in zip(names, given, strict=True))
    return Embeds(first, whole, other, other_whole)


def _or_none(name: str, array: Array | None, shape: tuple[int | None, ...]) -> Array | None:
    return None if array is None else _shaped(name, array, shape)


def _shaped(name: str, array: Array, shape: tuple[int | None, ...]) -> Array:
    """The array in a shape, of which None may be any size; what has no batch gets one."""
    found = np.asarray(array)
    found = found[None] if found.ndim == len(shape) - 1 else found
    fits = [wanted in (None, size) and size > 0 for wanted, size in zip(shape, found.shape, strict=False)]
    if found.ndim != len(shape) or not all(fits):
        wanted = "x".join("N" if size is None else str(size) for size in shape)
        raise InputError(f"{name} must be {wanted} numbers for this model, not {'x'.join(map(str, found.shape))}")
    if not np.issubdtype(found.dtype, np.number) or not np.isfinite(found).all():
        raise InputError(f"{name} must be finite numbers")
    return found.astype(np.float32)
