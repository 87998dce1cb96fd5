"""Files of weights that are mapped into memory, whose pages are given back while an engine reads them.

Mapped pages count as memory of the process until the system needs them for something else; what was given back is read
from the file again when it is needed again.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np

from partway.support import heap

_INTERVAL = 0.05  # seconds


class Mapped:
    """The bytes of a file that is not empty, which stay valid for as long as this lives; raises `OSError`."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            # Nothing writes to it, but OpenVINO wants arrays that could be written.
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.bytes = np.frombuffer(self._memory, np.uint8)

    def forget(self) -> None:
        """Give back the pages that were read."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._memory.madvise(mmap.MADV_DONTNEED)


Ranges = frozenset[tuple[int, int]]


def ranges(path: Path) -> Ranges:
    """Where a file is mapped in this process, as (first address, first beyond); empty where the system is not Linux."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    name = str(path.resolve())
    found = (line.split()[0].split("-") for line in lines if line.endswith(f" {name}"))
    return frozenset((int(start, 16), int(end, 16)) for start, end in found)


def forget(places: Ranges) -> None:
    """Give back the pages of address ranges that a library keeps mapped to a file meanwhile."""
    for start, end in places:
        heap.forget(start, end - start)


@contextmanager
def forgetting(forget: Callable[[], None] | None) -> Iterator[None]:
    """Call ``forget`` every 50 ms while the block runs, and once after it; do nothing for None."""
    if forget is None:
        yield
        return
    done = Event()

    def again() -> None:
        while not done.wait(_INTERVAL):
            forget()

    thread = Thread(target=again, name="partway-forget", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        forget()
