"""What ``partway tune`` measured of a model on this machine, kept in a small file in partway's cache folder.

The file is named by a hash of all that its figures depend on: the processor and its cores, the versions of the engines,
and the model's files. Where any of these has changed there is no file of that name, and nothing is known.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from partway.engines import ENGINES, EngineOptions
from partway.engines.table import distributions
from partway.errors import ImageError, InputError, choose
from partway.model.package import Package
from partway.support import machine
from partway.support.files import cache_folder, check_writable, stamps, write_atomically

NEAR = 30.0
"""dB to the picture of float32 below which no preset takes a configuration, however fast."""


@dataclass(frozen=True)
class Measured:
    """How long the networks took in one configuration.

    options   arguments of `partway.load`: engine, device, and those that differ from their defaults
    size      (width, height) of the picture in pixels
    seconds   of one call of each network once it has loaded; of the UNet, for each prediction of the call
    decibels  PSNR of its picture to that of float32, at most 100; None where that is the picture, or was not made
    """

    options: Mapping[str, Any]
    size: tuple[int, int]
    seconds: Mapping[str, float]
    decibels: float | None = None

    @property
    def near(self) -> bool:
        """Whether its picture is near that of float32, or was not compared."""
        return self.decibels is None or self.decibels >= NEAR

    @property
    def where(self) -> tuple[str, EngineOptions]:
        """The engine's name and its options."""
        own = dict(self.options)
        return own.pop("engine"), EngineOptions(**own)

    def suits(self, engine: str, options: EngineOptions) -> bool:
        """Whether networks take as long on this engine with these options."""
        name, own = self.where
        return name == engine and _timed(own) == _timed(options)


def _timed(options: EngineOptions) -> tuple[object, ...]:
    """The options that the seconds of a call depend on."""
    return (
        options.device.upper(),
        options.precision or "fp32",
        options.static,
        options.batch,
        options.threads,
    )


def measured(package: Package) -> tuple[Measured, ...]:
    """What was measured of a model on this machine, for each size the fastest first; empty where it was not tuned."""
    try:
        if not _folder().is_dir():
            return ()
        content = json.loads(path(package).read_text("utf-8"))
        return tuple(_read(one) for one in content["measured"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # none, or one `tune` mends
        return ()


def nearest(known: Iterable[Measured], size: tuple[int, int]) -> list[Measured]:
    """The measurements of the size whose number of pixels is nearest to that of ``size``, in their order."""
    known = list(known)
    least = min((_apart(one.size, size) for one in known), default=0.0)
    return [one for one in known if _apart(one.size, size) == least]


def keep(package: Package, found: Sequence[Measured]) -> Path:
    """Write the measurements of one size, the fastest first, in place of older ones of that size; return the file.

    Raises as `writable` does.
    """
    others = [one for one in measured(package) if one.size != found[0].size]
    content = {"of": _identity(package), "measured": [asdict(one) for one in (*others, *found)]}
    text = json.dumps(content, indent=1).encode()

    def write(file: BinaryIO) -> None:
        file.write(text)

    file = writable(package)
    write_atomically(file, write)
    return file


def writable(package: Package) -> Path:
    """Make the folder for the file of a model on this machine; return the file.

    Raises `InputError` if it cannot be written.
    """
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        check_writable(path(package))
    except ImageError as error:
        raise InputError(f"{error}; set PARTWAY_CACHE to another folder") from error
    except OSError as error:
        raise InputError(f"cannot make {_folder()}: {error.strerror}; set PARTWAY_CACHE to another folder") from error
    return path(package)


def path(package: Package) -> Path:
    """The file of a model on this machine, which may not be there."""
    identity = json.dumps(_identity(package), sort_keys=True).encode()
    return _folder() / f"{sha256(identity).hexdigest()[:24]}.json"


def _folder() -> Path:
    """Raises `InputError`, which is a `ValueError`, where there is nowhere to keep anything."""
    folder = cache_folder()
    if folder is None:
        raise InputError("there is no home folder to keep anything in; set PARTWAY_CACHE to a folder")
    return folder / "tuned"


def _identity(package: Package) -> dict[str, Any]:
    files = {name: entry["sha256"] for name, entry in package.manifest.get("files", {}).items()}
    if not files:
        folders = {file.parent for file in package.networks.values() if isinstance(file, Path)}
        files = {f"{folder.name}/{name}": about for folder in folders for name, about in stamps(folder).items()}
        graphs = [graph for graph in package.networks.values() if not isinstance(graph, Path)]
        sources = {weight.source for graph in graphs for weight in graph.weights.values()}
        files |= {source.path.name: (source.size, source.changed) for source in sources}
    return {
        "processor": machine.processor()[0],
        "cores": machine.cores(),
        "versions": machine.versions(("partway", *distributions())),
        "files": files,
    }


def _read(one: Mapping[str, Any]) -> Measured:
    width, height = one["size"]
    seconds = {str(name): float(value) for name, value in one["seconds"].items()}
    decibels = one["decibels"] if one["decibels"] is None else float(one["decibels"])
    found = Measured(dict(one["options"]), (int(width), int(height)), seconds, decibels)
    choose("engine", found.where[0], ENGINES)
    return found


def _apart(one: tuple[int, int], other: tuple[int, int]) -> float:
    return abs(math.log(math.prod(one) / math.prod(other)))
