"""Warnings that point to the line that called partway, however deep in it they arise."""

import sys
import warnings

from partway.errors import PartwayWarning


def warn(text: str) -> None:
    """Issue a `PartwayWarning`."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _ours(str(frame.f_globals.get("__name__"))):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, PartwayWarning, stacklevel=level)


def _ours(module: str) -> bool:
    return module.partition(".")[0] == "partway"
