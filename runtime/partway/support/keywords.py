"""Keyword arguments that nothing takes, answered with the one that was meant."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar, get_args

from partway.errors import unknown

P = ParamSpec("P")
R = TypeVar("R")


def refuse_unknown(what: str, given: Iterable[str], known: Iterable[str], elsewhere: Mapping[str, str]) -> None:
    """Raise `InputError` unless all that is ``given`` is ``known``; ``elsewhere`` is what others call known names."""
    names = set(known)
    for name in given:
        if name not in names:
            raise unknown(what, name, names, elsewhere)


def keywords(elsewhere: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function raise `InputError` for unknown keyword arguments, in place of Python's own `TypeError`.

    Those in a ``**name: Unpack[...]`` are known. ``elsewhere`` is what others call known ones.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*values: P.args, **given: P.kwargs) -> R:
            refuse_unknown("argument", given, _names(function), elsewhere)
            return function(*values, **given)

        return checked

    return decorate


@cache
def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    """What a function can be given by name."""
    names: list[str] = []
    for parameter in signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            names += get_args(parameter.annotation)[0].__annotations__
        elif parameter.kind is not parameter.POSITIONAL_ONLY and parameter.name != "self":
            names.append(parameter.name)
    return tuple(names)
