"""What can go wrong, as one tree; every message is one line: what was wrong and what to do.

PartwayError
├── InputError (also ValueError)   an argument outside its range or an unknown name
├── ImageError                     a picture that cannot be read, or an output that cannot be written
├── PackageError                   a model folder that is missing, truncated or of an unknown kind
├── EngineError                    an engine that is not installed, or a device it does not have
└── NetworkError                   a network that does not fit its inputs, fails, or returns NaN
"""

from collections.abc import Iterable
from numbers import Integral, Real

MAX_SIDE = 16384
"""The longest side, in pixels, of a picture, a tile or a size that anybody asks for."""


class PartwayError(Exception):
    """Base of all errors that partway raises on purpose."""


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
    """Return ``name`` if it is among the strings in ``known``, else raise `InputError` that lists them."""
    names = sorted(known)
    if name not in names:
        raise InputError(f"unknown {what} {name!r}; choose one of: {', '.join(names)}")
    return name
