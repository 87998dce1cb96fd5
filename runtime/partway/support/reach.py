"""What can be reached in a graph, whatever its nodes are."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")


def reach(
    starts: Iterable[T], onward: Callable[[T], Iterable[T]], *, key: Callable[[T], Hashable] = lambda one: one
) -> list[T]:
    """The ``starts`` and all that ``onward`` leads to from them, each once; ``key`` tells one from another."""
    found: dict[Hashable, T] = {}
    left = list(starts)
    while left:
        one = left.pop()
        if key(one) not in found:
            found[key(one)] = one
            left += onward(one)
    return list(found.values())
