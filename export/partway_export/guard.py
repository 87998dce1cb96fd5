"""All or nothing: a folder that appears complete or not at all, and errors of one line."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partway.errors import EngineError, InputError, PackageError, install


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside ``out`` that takes its place when the block ends well and vanishes when not.

    Raises InputError when ``out`` is there already and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; choose another name or remove it")
    partial = out.absolute().parent / f".{out.name}.partial-{os.getpid()}"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another place") from error
    try:
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a missing library, too little memory and a full disk into errors that name the remedy."""
    try:
        yield
    except ImportError as error:
        missing = error.name or one_line(error)
        raise EngineError(f"export needs {missing}; {install('export')}") from error
    except MemoryError as error:
        raise PackageError("not enough memory for this model; close programs or use a larger machine") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PackageError("the disk is full; free some space and run the export again") from error
        raise


def check_space(folder: Path, needed: int) -> None:
    """Raise PackageError when the disk that holds ``folder`` has fewer than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PackageError(
            f"the export needs {needed / 1e9:.1f} GB of disk while it runs, {free / 1e9:.1f} GB are free; "
            "free some space or choose another place"
        )


def one_line(error: BaseException) -> str:
    """Return the text of a foreign error, squeezed into one line of 300 characters at most."""
    return " ".join(str(error).split())[:300]
