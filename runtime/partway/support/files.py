"""Files: outputs that are written whole or not at all, whether others have changed, and where to keep some."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from partway.errors import ImageError

_PART = (".partway-", ".part")  # how the name of a file begins and ends that is being written
_STALE = 3600  # seconds after which nobody is still writing it


def check_writable(path: Path) -> None:
    """Raise ImageError if ``path`` could not be written: its folder is missing or closed, or it is a folder.

    An existing file is left as it is.
    """
    trial = _temporary(path)
    try:
        if path.is_dir():
            raise ImageError(f"cannot write {path}: it is a folder; add a file name")
        if not path.parent.is_dir():
            raise ImageError(f"cannot write {path}: there is no folder {path.parent}; create it first")
        # Tried for real: permission bits do not tell about read-only disks, quotas or names too long.
        trial.open("xb").close()
        trial.unlink()
    except OSError as problem:
        raise ImageError(f"cannot write {path}: {problem.strerror}") from problem


def check_folder(folder: Path) -> None:
    """Make a folder, unless it is there; raises ImageError if nothing could be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ImageError(f"cannot write into {folder}: {problem.strerror}") from problem
    check_writable(folder / "trial")


def remove_leftovers(folder: Path) -> None:
    """Delete what was being written below a folder when a process was killed: what is older than an hour."""
    for part in folder.rglob(f"{_PART[0]}*{_PART[1]}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it; after any failure nothing is left.

    Raises ImageError if the disk refuses (full, unplugged, no permission).
    """
    part = _temporary(path)
    try:
        with part.open("xb") as file:
            write(file)
        part.replace(path)
    except OSError as problem:
        raise ImageError(f"cannot write {path}: {problem.strerror or problem}") from problem
    finally:
        part.unlink(missing_ok=True)


def unused(folder: Path, stem: str, suffix: str) -> Path:
    """Return the first of ``stem-0001suffix``, ``stem-0002suffix``, ... that does not exist in ``folder``."""
    number = 1
    while (path := folder / f"{stem}-{number:04d}{suffix}").exists():
        number += 1
    return path


def cache_folder() -> Path | None:
    """Return partway's folder for what can be made again: $PARTWAY_CACHE, or partway in $XDG_CACHE_HOME or ~/.cache.

    None where the user has no home; what is there may not be readable.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = os.path.expanduser(os.environ.get("PARTWAY_CACHE") or os.path.join(base, "partway"))
    return None if folder.startswith("~") else Path(folder)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of the last change, in nanoseconds, of every file in ``folder``, by name."""
    found = {file.name: file.stat() for file in sorted(folder.iterdir()) if file.is_file()}
    return {name: (about.st_size, about.st_mtime_ns) for name, about in found.items()}


def impostor(path: Path) -> str | None:
    """What a file is that is not what its name says, and what to do: what Git LFS or a web page left in its place."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return None
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer and not the file itself; fetch it with: git lfs pull"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page; download it again"
    return None


def _temporary(path: Path) -> Path:
    return path.parent / f"{_PART[0]}{os.urandom(8).hex()}{_PART[1]}"
