"""A file of weights mapped into memory, whose pages are given back while an engine lays weights out for its kernels.

They are read once for that and count as memory of the process until something else needs it.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np

_OFTEN = 0.05  # seconds


class Mapped:
    """The bytes of a file that is not empty, which stay good for as long as this lives; raises `OSError`."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            # Nothing writes to it, but OpenVINO wants arrays that could be written.
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.bytes = np.frombuffer(self._memory, np.uint8)

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Meanwhile forget every now and then what was read, and at the end; what is needed again is read again."""
        done = Event()

        def forget() -> None:
            while not done.wait(_OFTEN):
                self._forget()

        thread = Thread(target=forget, name="partway-forget", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._forget()

    def _forget(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._memory.madvise(mmap.MADV_DONTNEED)
