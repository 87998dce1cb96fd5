"""Where results go: names chosen and checked before the work, files written whole after it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from partway.errors import ImageError
from partway.pictures import metadata
from partway.support.files import check_writable, unused, write_atomically

_STEM = 50  # characters of the input's name in the output's, which must not be too long for a file


class Outputs:
    """Names for ``count`` pictures: one that the user gave, or free ones in the current folder.

    output: what the user gave, or None; several pictures become NAME-0001.png, NAME-0002.png, ...
    stem: begins the names that are chosen here, which never overwrite anything.
    source: the input's path, which must not be overwritten.
    Raises InputError for an unknown format and ImageError for what cannot be written.
    """

    def __init__(self, output: str | None, *, stem: str, count: int = 1, source: Path | None = None) -> None:
        self._stem = f"{stem[:_STEM]}-partway" if stem else "partway"
        self._given: list[Path] = []
        if output is not None:
            path = Path(output)
            several = (path.parent / f"{path.stem}-{i:04d}{path.suffix}" for i in range(1, count + 1))
            self._given = [path] if count == 1 else list(several)
        for path in self._given or [Path(f"{self._stem}-0001.png")]:
            check(path, source)

    def save(self, image: Image.Image, record: Mapping[str, Any]) -> Path:
        """Write the next picture with its record and return its path."""
        path = self._given.pop(0) if self._given else unused(Path(), self._stem, ".png")
        save(image, path, record)
        return path


def check(path: Path, source: Path | None) -> None:
    """Raise ImageError or InputError if a picture cannot be written to ``path``, or if ``source`` is there."""
    check_writable(path)
    metadata.check_suffix(path)
    if source is not None and path.exists() and source.exists() and os.path.samefile(path, source):
        raise ImageError(f"{path} is the input itself; choose another name for the output")


def save(image: Image.Image, path: Path, record: Mapping[str, Any]) -> None:
    """Write one picture with its record, whole or not at all."""
    write_atomically(path, lambda file: metadata.write(image, file, path.suffix, record))
