"""The table of syntaxes. To add one, write its file and add a row here and in `EMPHASIS` in `model/emphasis.py`."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from partway.prompts import chunks, comfyui, editing
from partway.prompts.editing import Joined
from partway.prompts.pieces import Reading, Vocabulary

PLAIN = "plain"


class Syntax(NamedTuple):
    """How a tool reads prompts.

    read      (text, vocabulary) -> its chunks
    joined    text -> the prompts whose predictions are joined
    at_steps  (text, steps) -> the text at each step
    long      whether a text may have any number of chunks
    unread    (text, names of embeddings) -> what it names and cannot be had
    repeats   whether the shorter of prompt and negative prompt is padded by repeating it, else with empty chunks
    moves     whether weights move a text's embedding away from the empty text's
    """

    read: Callable[[str, Vocabulary], Reading]
    joined: Callable[[str], tuple[Joined, ...]] = lambda text: (Joined(text),)
    at_steps: Callable[[str, int], tuple[str, ...]] = lambda text, steps: (text,) * steps
    long: bool = True
    repeats: bool = True
    moves: bool = False
    unread: Callable[[str, Iterable[str]], tuple[str, ...]] = lambda text, embeddings: ()


# These two are imported where they are asked for: their patterns take their time.


def _a1111(text: str, vocabulary: Vocabulary) -> Reading:
    from partway.prompts import a1111

    return Reading.of(chunks.by_commas(a1111.groups(text), vocabulary))


def _compel(text: str, vocabulary: Vocabulary) -> Reading:
    from partway.prompts import compel

    return chunks.combined(compel.conjunction(text), text, vocabulary)


def _unread_in_compel(text: str, embeddings: Iterable[str]) -> tuple[str, ...]:
    from partway.prompts import compel

    return compel.conjunction(text).unread


SYNTAXES = {
    PLAIN: Syntax(lambda text, vocabulary: Reading.of(chunks.one(text, vocabulary)), long=False, repeats=False),
    "a1111": Syntax(
        _a1111,
        joined=editing.joined,
        at_steps=editing.at_steps,
    ),
    "comfyui": Syntax(
        lambda text, vocabulary: Reading.of(chunks.by_words(comfyui.pieces(text), vocabulary)),
        unread=comfyui.unread,
        moves=True,
    ),
    "compel": Syntax(
        _compel,
        repeats=False,
        unread=_unread_in_compel,
        moves=True,
    ),
}
"""By the setting ``prompt_syntax``."""

_MARKS = r"[()\[\]]|\bBREAK\b"


def marked(text: str) -> bool:
    """Whether a text has brackets or ``BREAK``, which mean something in some syntax."""
    return re.search(_MARKS, text) is not None
