"""Memory given back to the system, where that is Linux with glibc; elsewhere these do nothing."""

import ctypes
from pathlib import Path
from typing import Any

_MMAP_THRESHOLD = -3  # of glibc's mallopt
_DONTNEED = 4  # madvise's MADV_DONTNEED
_MAPS = Path("/proc/self/maps")
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


def unread(folder: Path) -> None:
    """Forget what was read of the files in ``folder`` that are mapped into memory; what is needed is read again.

    An engine that has laid weights out for its kernels does not need them, and they count as the process's memory.
    """
    if not _MAPS.exists():
        return
    inside = f"{folder.resolve()}/"
    for line in _MAPS.read_text("utf-8", "surrogateescape").splitlines():
        span, _, _, _, number, *path = line.split(maxsplit=5)
        if number != "0" and path and path[0].startswith(inside):
            start, end = (int(place, 16) for place in span.split("-"))
            _call("madvise", ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


def _call(name: str, *arguments: Any) -> None:
    try:
        library: Any = ctypes.CDLL(None)
        getattr(library, name)(*arguments)
    except (OSError, TypeError, AttributeError):  # no such library, as on Windows, or no such function in it
        pass
