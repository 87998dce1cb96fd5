"""What names a model to others, and tells it from what it was: SHA-256 of its files, found once for each state of them.

What ``partway.json`` says of a package's files is taken from there; ``partway doctor`` compares it with them.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path

from partway.engines.weights import Source
from partway.graphs import FILES, TOKENIZERS, WEIGHTS
from partway.model.package import Package
from partway.pictures.metadata import file_hash
from partway.support.files import cache_folder

_SMALL = 2**20  # bytes of a file that is hashed sooner than it is remembered


def model_hash(package: Package) -> str:
    """The hash of a model's file, or of the names and hashes of all files of a folder that a run reads."""
    if package.root.is_file():
        return file_sha256(package.root)
    hashes = _stated(package) or {_name(package, file): file_sha256(file) for file in _files(package)}
    return sha256(repr(sorted(hashes.items())).encode()).hexdigest()


def unet_hash(package: Package) -> str | None:
    """The hash of the UNet's weights in a package of partway's export; None for other models."""
    stated = _stated(package)
    return next((stated[name] for name in _UNETS if name in stated), None)


def file_sha256(path: Path) -> str:
    """The hash of a file, remembered in partway's cache folder where that can be written."""
    return _remembered(path, "", file_hash)


def path_sha256(path: Path) -> str:
    """The hash of a file, or of the names and hashes of what a folder that diffusers saved has."""
    if not path.is_dir():
        return file_sha256(path)
    files = sorted(one for one in path.iterdir() if one.suffix in (".json", ".safetensors"))
    return sha256(repr([(one.name, file_sha256(one)) for one in files]).encode()).hexdigest()


def tensors_sha256(path: Path) -> str:
    """The hash of what follows a .safetensors file's header, which is A1111's for LoRAs; remembered as well."""
    return _remembered(path, "tensors", _after_header)


_UNETS = tuple(f"unet/{name}" for name in (WEIGHTS["onnx"], FILES["onnx"], WEIGHTS["openvino"]))


def _stated(package: Package) -> dict[str, str]:
    """The hashes of a package's files in its partway.json, but of those that are there to compare with."""
    files = package.manifest.get("files", {})
    return {name: str(entry["sha256"]) for name, entry in files.items() if not name.startswith("goldens/")}


def _files(package: Package) -> set[Path]:
    """The files of a folder that a run reads; beside a network's graph all that may be its weights."""
    root = package.root
    folders = [network.parent for network in package.networks.values() if isinstance(network, Path)]
    folders += [root / name for name in ("scheduler", *TOKENIZERS.values())]
    parts = package.checkpoint.parts.values() if package.checkpoint else ()
    stored = {weight.source.path for part in parts for weight in part.weights.values()}
    return {root / "model_index.json", *stored, *(file for folder in folders for file in _within(folder))}


def _name(package: Package, file: Path) -> str:
    """A file's name with that of its folder, so that it is the same wherever the model lies."""
    return file.name if file.parent == package.root else f"{file.parent.name}/{file.name}"


def _within(folder: Path) -> Iterator[Path]:
    return (file for file in folder.glob("*") if file.is_file())


def _after_header(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return file_digest(file, "sha256").hexdigest()


def _remembered(path: Path, what: str, find: Callable[[Path], str]) -> str:
    source, cache = Source.of(path), cache_folder()
    if source.size < _SMALL or cache is None:
        return find(path)
    about = (str(source.path), source.size, source.changed, *([what] if what else []))
    name = sha256(repr(about).encode()).hexdigest()[:24]
    known = cache / "hashes" / name
    with suppress(OSError):
        return known.read_text("ascii")
    found = find(path)
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(found, "ascii")
    return found
