"""Sweeps over several factors: a part that is always run, and a rest that is `thorough`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any

import pytest


def sweep(*factors: Sequence[Any], needed: Callable[..., bool] = lambda *case: True) -> list[Any]:
    """Every combination of the factors' values that is ``needed``, as parameters of a test.

    Always run are as few as have every two values of different factors meet once; the others are `thorough`.
    """
    values = {index: tuple(factor[i] for factor, i in zip(factors, index, strict=True)) for index in _indices(factors)}
    cases = [index for index, case in values.items() if needed(*case)]
    always = _covering(cases)
    return [
        pytest.param(*values[index], id=_name(values[index]), marks=() if index in always else pytest.mark.thorough)
        for index in cases
    ]


def _indices(factors: Sequence[Sequence[Any]]) -> Iterator[tuple[int, ...]]:
    return product(*(range(len(factor)) for factor in factors))


def _name(value: Any) -> str:
    if isinstance(value, dict):
        value = tuple(f"{key}={one}" for key, one in value.items())
    return "-".join(map(_name, value)) if isinstance(value, tuple) else getattr(value, "__name__", str(value))


def _covering(cases: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Cases in which every pair of values that there is occurs, the one with most new pairs first."""
    pairs = {case: set(combinations(enumerate(case), 2)) for case in cases}
    missing, chosen = set().union(*pairs.values()), set()
    while missing:
        best = max(cases, key=lambda case: len(pairs[case] & missing))
        missing -= pairs[best]
        chosen.add(best)
    return chosen
