"""What can go wrong, as one tree; every message is one line: what was wrong and what to do.

PartwayError
├── InputError (also ValueError)   an argument outside its range or an unknown name
├── ImageError                     a picture that cannot be read, or an output that cannot be written
├── PackageError                   a model folder that is missing, truncated or of an unknown kind
├── EngineError                    an engine that is not installed, or a device it does not have
└── NetworkError                   a network that does not fit its inputs, fails, or returns NaN
PartwayWarning (a UserWarning)     a run leaves something out
"""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real

MAX_SIDE = 16384
"""The longest side, in pixels, of a picture, a tile or a size that anybody asks for."""


class PartwayError(Exception):
    """Base of all errors that partway raises on purpose."""


class PartwayWarning(UserWarning):
    """What a run leaves out of what it was given."""


class InputError(PartwayError, ValueError):
    """An argument is outside its range, or a name is unknown."""


class ImageError(PartwayError):
    """A picture cannot be read, or an output cannot be written."""


class PackageError(PartwayError):
    """A model folder is missing, truncated, or of a kind that cannot be run."""


class EngineError(PartwayError):
    """An engine's library is not installed, or it lacks the device asked for."""


class NetworkError(PartwayError):
    """A network does not accept its inputs, fails while running, or returns values that are not finite."""


def number(name: str, value: float, low: float, high: float) -> float:
    """Return ``value`` as Python's own float, or raise `InputError` unless it is a number in ``low`` .. ``high``."""
    known = isinstance(value, Real) and not isinstance(value, bool)
    if not known or not low <= value <= high:
        raise InputError(f"{name} must be between {low} and {high}, not {value!r}")
    return float(value)


def is_integer(value: object, low: float, high: float) -> bool:
    """Return whether ``value`` is a whole number, Python's or NumPy's but no bool, in ``low`` .. ``high``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high


def choose(what: str, name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is among the strings in ``known``, else raise the `InputError` of `unknown`."""
    names = sorted(known)
    if name not in names:
        raise unknown(what, name, names)
    return name


def unknown(what: str, name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> InputError:
    """The error of an unknown name, which says which of ``known`` was meant, or lists them; see `meant`."""
    names = sorted(known)
    near = meant(name, names, elsewhere)
    return InputError(
        f"unknown {what} {name!r}; " + (f"did you mean {near}?" if near else f"choose one of: {', '.join(names)}")
    )


def meant(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str | None:
    """The one of ``known`` that an unknown name is nearly, or that others call so; None where there is none.

    ``elsewhere`` leads from the names that others use to ours.
    """
    from difflib import get_close_matches  # start-up can do without it

    names = {own: own for own in known}
    names = {other: own for other, own in (elsewhere or {}).items() if own in names} | names
    return next((names[near] for near in get_close_matches(str(name), names, 1, _NEAR)), None)


_NEAR = 0.7  # of 1, for the same letters in the same order; "modle" has 0.8 of "model"


def install(extra: str) -> str:
    """What to do for a missing extra of ``pyproject.toml``, as the README has it: the end of a message."""
    return f'run: pip install -c constraints.txt ".[{extra}]" in a clone of partway'
