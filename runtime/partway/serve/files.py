"""Pictures as files, in memory: results with their record, previews, and what a link leads to for a while."""

import io
import secrets
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from PIL import Image

import partway
from partway.pictures import metadata
from partway.run.latents import Latents

TYPES = {".png": "image/png", ".jpeg": "image/jpeg", ".webp": "image/webp"}
"""Content types by the format's suffix."""


def encoded(image: Image.Image, record: Mapping[str, object], suffix: str = ".png", quality: int = 95) -> bytes:
    """A picture's file with its record inside."""
    file = io.BytesIO()
    quick = {"compress_type": zlib.Z_RLE} if suffix == ".png" else {}  # a tenth of the time, for a few more bytes
    metadata.write(image, file, suffix, record, quality=quality, **quick)
    return file.getvalue()


def preview(step: partway.Step, size: tuple[int, int], suffix: str = ".png") -> bytes:
    """The estimate after a step, as a file of this size without a record."""
    image = step.preview()[0].resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, metadata.FORMATS[suffix], **({"compress_type": zlib.Z_RLE} if suffix == ".png" else {}))
    return file.getvalue()


@dataclass(frozen=True, eq=False)
class Kept:
    """A file that a link leads to, and what its run hands on, where that is kept too."""

    data: bytes
    kind: str
    latents: Latents | None
    until: float


class Store:
    """Files under names that nobody can guess, for a bounded time and in bounded memory.

    seconds  for which a file is kept
    most     bytes of all together; the oldest go first
    chained  of how many, the newest, the latents are kept
    """

    def __init__(self, *, seconds: float = 3600, most: int = 64 * 2**20, chained: int = 8) -> None:
        self._seconds, self._most, self._chained = seconds, most, chained
        self._files: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, data: bytes, suffix: str, latents: Latents | None = None) -> str:
        """Keep a file, and return its name."""
        name = secrets.token_urlsafe(16) + suffix
        with self._lock:
            self._files[name] = Kept(data, TYPES[suffix], latents, time.monotonic() + self._seconds)
            self._sweep()
        return name

    def get(self, name: str) -> Kept | None:
        """The file of that name; None where there is none any more."""
        with self._lock:
            self._sweep()
            return self._files.get(name)

    def _sweep(self) -> None:
        now = time.monotonic()
        for name in [name for name, file in self._files.items() if file.until < now]:
            del self._files[name]
        while sum(len(file.data) for file in self._files.values()) > self._most:
            self._files.popitem(last=False)
        chained = [name for name, file in self._files.items() if file.latents is not None]
        for name in chained[: -self._chained]:
            self._files[name] = replace(self._files[name], latents=None)
