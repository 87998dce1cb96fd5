"""What stable-diffusion-webui (A1111) changes from step to step, and prompts that it joins with ``AND``.

``[from:to:0.4]`` is one text for the first 40 % of the steps and another for the rest, ``[from:to:6]`` for six steps;
``[to:6]`` adds a text, ``[from::6]`` takes one away. ``[a|b]`` takes turns. All may be nested. A number with a point is
a share of the steps that a run makes, one without counts them.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from partway.prompts.pieces import DEEPEST, number, within

# Patterns that `re` compiles, and keeps, when they are first used.
_AND = r"\bAND\b"
_WEIGHT = r"[-+]?(\d+\.?|\d*\.\d+)"
_WHEN = r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*"
_PAIRS = {")": "(", "]": "["}


class Joined(NamedTuple):
    """A prompt of those that are joined with ``AND``, and how much of its guidance counts."""

    text: str
    weight: float = 1.0


class _Switch(NamedTuple):
    before: "_Text"
    after: "_Text"
    when: str


class _Turns(NamedTuple):
    each: tuple["_Text", ...]


_Text = tuple["str | _Switch | _Turns", ...]


def joined(text: str) -> tuple[Joined, ...]:
    """The prompts between ``AND``, each with the number behind its last colon, if it ends with one."""
    return tuple(map(_weighted, re.split(_AND, text)))


def at_steps(text: str, steps: int) -> tuple[str, ...]:
    """The text at each of so many steps."""
    if "[" not in text:
        return (text,) * steps
    parsed = _parsed(text, 0, len(text), _matches(text))
    return tuple("".join(_at(parsed, step, steps)) for step in range(1, steps + 1))


def _weighted(text: str) -> Joined:
    head, colon, tail = text.rpartition(":")
    if colon and re.fullmatch(_WEIGHT, tail.strip()):
        return Joined(head.rstrip(), within(float(tail)))
    return Joined(text.rstrip())


def _matches(text: str) -> dict[int, int]:
    """Where each bracket that is opened is closed, by where it opens; -1 for one that is not part of a pair."""
    found: dict[int, int] = {}
    opened: list[int] = []
    place = 0
    while place < len(text):
        char = text[place]
        if char == "\\":
            place += 1
        elif char in "([":
            if len(opened) < DEEPEST:
                opened.append(place)
            else:
                found[place] = -1
        elif char in ")]":
            if opened and text[opened[-1]] == _PAIRS[char]:
                found[opened.pop()] = place
            else:
                found[place] = -1
        place += 1
    return found | dict.fromkeys(opened, -1)


def _parsed(text: str, start: int, end: int, matches: dict[int, int]) -> _Text:
    """The text between two places."""
    found: list[str | _Switch | _Turns] = []
    place = start
    while place < end:
        char = text[place]
        if char == "[" and (close := matches[place]) > 0:
            found += _bracketed(text, place, close, matches)
            place = close + 1
        else:
            length = 2 if char == "\\" else 1
            found.append(text[place : min(place + length, end)])
            place += length
    return tuple(found)


def _bracketed(text: str, start: int, close: int, matches: dict[int, int]) -> _Text:
    """What stands between square brackets: a switch, turns, or text in them."""
    cuts = _cuts(text, start + 1, close, matches)
    parts = [_parsed(text, one, other, matches) for one, other in _between(start, [at for at, _ in cuts], close)]
    marks = {mark for _, mark in cuts}
    if marks == {"|"}:
        return (_Turns(tuple(parts)),)
    if marks == {":"} and len(parts) < 4:
        when = text[cuts[-1][0] + 1 : close]
        if re.fullmatch(_WHEN, when) and number(when) is not None:
            return (_Switch(parts[0] if len(parts) == 3 else (), parts[-2], when.strip()),)
    return ("[", *_parsed(text, start + 1, close, matches), "]")


def _cuts(text: str, start: int, end: int, matches: dict[int, int]) -> list[tuple[int, str]]:
    """Where colons and bars stand that are in no inner brackets; none where a bracket in between lacks its other."""
    found: list[tuple[int, str]] = []
    place = start
    while place < end:
        char = text[place]
        if char in "([)]":
            if matches.get(place, -1) < 0:
                return []
            place = matches[place]
        elif char == "\\":
            place += 1
        elif char in ":|":
            found.append((place, char))
        place += 1
    return found


def _between(start: int, cuts: list[int], close: int) -> Iterator[tuple[int, int]]:
    places = [start, *cuts, close]
    return ((one + 1, other) for one, other in pairwise(places))


def _at(parsed: _Text, step: int, steps: int) -> Iterator[str]:
    for part in parsed:
        if isinstance(part, str):
            yield part
        elif isinstance(part, _Turns):
            yield from _at(part.each[(step - 1) % len(part.each)], step, steps)
        else:
            last = float(part.when) * (steps if "." in part.when else 1)
            yield from _at(part.before if step <= int(min(last, steps)) else part.after, step, steps)
