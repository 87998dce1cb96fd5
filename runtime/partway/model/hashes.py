"""The SHA-256 of a model's file, which names it to others; found once for each state of the file."""

from collections.abc import Callable
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path

from partway.engines.weights import Source
from partway.pictures.metadata import file_hash
from partway.support.files import cache_folder


def model_hash(path: Path) -> str:
    """The hash of a file of gigabytes, remembered in partway's cache folder where that can be written."""
    return _remembered(path, "", file_hash)


def tensors_hash(path: Path) -> str:
    """The hash of what follows a .safetensors file's header, which is A1111's for LoRAs; remembered as well."""
    return _remembered(path, "tensors", _after_header)


def _after_header(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return file_digest(file, "sha256").hexdigest()


def _remembered(path: Path, what: str, find: Callable[[Path], str]) -> str:
    source = Source.of(path)
    about = (str(source.path), source.size, source.changed, *([what] if what else []))
    name = sha256(repr(about).encode()).hexdigest()[:24]
    known = cache_folder() / "hashes" / name
    with suppress(OSError):
        return known.read_text("ascii")
    found = find(path)
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(found, "ascii")
    return found
