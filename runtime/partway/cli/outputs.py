"""Where results go: names chosen and checked before the work, files written whole after it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from partway.cli.controls import controlled
from partway.errors import ImageError
from partway.pictures import metadata
from partway.support.files import check_writable, unused

_STEM = 50  # characters of the input's name in the output's, which must not be too long for a file


class Outputs:
    """Names for ``count`` pictures: one that the user gave, or free ones in the current folder.

    output: what the user gave, or None; several pictures become NAME-0001.png, NAME-0002.png, ...
    stem: begins the names that are chosen here, which never overwrite anything.
    inputs: the paths of whatever the run reads, which must not be overwritten.
    Raises InputError for an unknown format and ImageError for what cannot be written.
    """

    def __init__(self, output: str | None, *, stem: str, count: int = 1, inputs: Sequence[Path] = ()) -> None:
        self._stem = f"{stem[:_STEM]}-partway" if stem else "partway"
        self._given: list[Path] = []
        if output is not None:
            path = Path(output)
            several = (path.parent / f"{path.stem}-{i:04d}{path.suffix}" for i in range(1, count + 1))
            self._given = [path] if count == 1 else list(several)
        for path in self._given or [Path(f"{self._stem}-0001.png")]:
            check(path, inputs)

    @property
    def suffix(self) -> str:
        """The end of the next picture's name."""
        return self._given[0].suffix if self._given else ".png"

    def save(self, image: Image.Image, record: Mapping[str, Any]) -> Path:
        """Write the next picture with its record and return its path."""
        path = self._given.pop(0) if self._given else unused(Path(), self._stem, ".png")
        metadata.save(image, path, record)
        return path


def check(path: Path, inputs: Sequence[Path]) -> None:
    """Raise ImageError or InputError if a picture cannot be written to ``path``, or if one of ``inputs`` is there."""
    check_writable(path)
    metadata.check_suffix(path)
    if path.exists() and any(os.path.exists(one) and os.path.samefile(path, one) for one in inputs):
        raise ImageError(f"{path} is the input itself; choose another name for the output")


def inputs_of(options: argparse.Namespace) -> list[Path]:
    """The files that a command line names for the run to read: the picture, the mask, the one that is replayed.

    Also those that guide it.
    """
    named = [getattr(options, name, None) for name in ("input", "mask", "from_png", "ip_picture")]
    named += [control["picture"] for control in controlled(options)]
    return [Path(name) for name in named if name is not None]
