"""What the command line says on stderr beside progress: a line each, whatever it is about."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from partway.errors import PartwayWarning
from partway.support.lines import one_line


def say(kind: str, text: str) -> None:
    """Print an "error", a "warning" or a "note"."""
    print(f"partway: {kind}: {one_line(text)}", file=sys.stderr)


@contextmanager
def libraries_unheard() -> Iterator[None]:
    """Drop what libraries in C write to standard error meanwhile, as libtiff does of a damaged picture.

    What is said with `say` is still heard.
    """
    try:
        own, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard error
        yield
        return
    os.dup2(nothing, 2)
    before = sys.stderr
    try:
        with open(own, "w", buffering=1, errors="backslashreplace", closefd=False) as heard:
            sys.stderr = heard if _is_standard(before) else before
            yield
    finally:
        sys.stderr = before
        os.dup2(own, 2)
        os.close(own)
        os.close(nothing)


def _is_standard(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):  # none, or one that a test put in its place
        return False


@contextmanager
def warnings_said() -> Iterator[None]:
    """Print partway's own warnings meanwhile, each once; those of others go where they went."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", PartwayWarning)
        others: Callable[..., Any] = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, PartwayWarning):
                others(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                say("warning", str(message))

        warnings.showwarning = show
        yield
