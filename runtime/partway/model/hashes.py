"""The SHA-256 of a model's file, which names it to others; found once for each state of the file."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from partway.engines.weights import Source
from partway.pictures.metadata import file_hash
from partway.support.files import cache_folder


def model_hash(path: Path) -> str:
    """The hash of a file of gigabytes, remembered in partway's cache folder where that can be written."""
    source = Source.of(path)
    name = sha256(repr((str(source.path), source.size, source.changed)).encode()).hexdigest()[:24]
    known = cache_folder() / "hashes" / name
    with suppress(OSError):
        return known.read_text("ascii")
    found = file_hash(path)
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(found, "ascii")
    return found
