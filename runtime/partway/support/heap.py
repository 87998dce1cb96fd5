"""Memory given back to the system, where that is Linux with glibc; elsewhere these do nothing."""

import ctypes
from typing import Any

_MMAP_THRESHOLD = -3  # of glibc's mallopt
_DONT_NEED = 4  # of Linux's madvise
LARGE = 2**20  # bytes


def trim() -> None:
    """Give back what was freed and lies unused in the heap: what a released network leaves, or one that has loaded."""
    _call("malloc_trim", 0)


def map_large() -> None:
    """Have every block of a megabyte or more mapped by itself, and so given back the moment it is freed.

    Left alone, glibc stops doing so after the first large block is freed, and weights that were read, converted and
    packed leave holes that count as memory in use. This holds for the whole process.
    """
    _call("mallopt", _MMAP_THRESHOLD, LARGE)


def forget(start: int, size: int) -> None:
    """Give back whole pages from an address on, which have to be a file's that nothing was written to."""
    _call("madvise", ctypes.c_void_p(start), ctypes.c_size_t(size), _DONT_NEED)


def _call(name: str, *arguments: Any) -> None:
    try:
        library: Any = ctypes.CDLL(None)
        getattr(library, name)(*arguments)
    except (OSError, TypeError, AttributeError):  # no such library, as on Windows, or no such function in it
        pass
