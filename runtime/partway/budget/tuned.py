"""What ``partway tune`` measured of a model on this machine, kept in a small file in partway's cache folder.

The file is named by a hash of all that its figures depend on: the processor and its cores, the versions of the engines,
and the model's files. Where any of that is another, there simply is no such file, and nothing is known.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from partway.engines import ENGINES, EngineOptions
from partway.errors import ImageError, InputError, choose
from partway.model.package import Package
from partway.support import machine
from partway.support.files import cache_folder, check_writable, stamps, write_atomically

NEAR = 30.0
"""dB to the picture of float32 below which no preset takes a configuration, however fast."""


@dataclass(frozen=True)
class Measured:
    """What one configuration took.

    options   arguments of `partway.load`: engine, device, and what else is not left to its default
    size      (width, height) of the picture in pixels
    seconds   of a call of each network, loaded; of the UNet's, for each prediction it makes
    decibels  PSNR of its picture to that of float32, at most 100; None for that one, and where there was none
    """

    options: Mapping[str, Any]
    size: tuple[int, int]
    seconds: Mapping[str, float]
    decibels: float | None = None

    @property
    def near(self) -> bool:
        """Whether its picture is as good as that of float32, as far as is known."""
        return self.decibels is None or self.decibels >= NEAR

    @property
    def where(self) -> tuple[str, EngineOptions]:
        """The engine's name and its options."""
        own = dict(self.options)
        return own.pop("engine"), EngineOptions(**own)

    def suits(self, engine: str, options: EngineOptions) -> bool:
        """Whether it ran as networks do on this engine with these options."""
        name, own = self.where
        return name == engine and _way(own) == _way(options)


def _way(options: EngineOptions) -> tuple[object, ...]:
    return (
        options.device.upper(),
        options.precision or "fp32",
        options.static,
        options.batch,
        options.threads,
    )


def measured(package: Package) -> tuple[Measured, ...]:
    """All that is known of a model here, of each size the fastest first; nothing where it was never tuned."""
    if not _folder().is_dir():
        return ()
    try:
        content = json.loads(path(package).read_text("utf-8"))
        return tuple(_read(one) for one in content["measured"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or damaged, which `tune` mends
        return ()


def nearest(known: Iterable[Measured], size: tuple[int, int]) -> list[Measured]:
    """Those of the size whose pixels are nearest in number to that of ``size``, as they come."""
    known = list(known)
    least = min((_apart(one.size, size) for one in known), default=0.0)
    return [one for one in known if _apart(one.size, size) == least]


def keep(package: Package, found: Sequence[Measured]) -> Path:
    """Write what was found of one size, the fastest first, in place of what was known of it; return the file.

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
    """The file of a model on this machine, in a folder that is made; raises `InputError` if it could not be written."""
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
    return cache_folder() / "tuned"


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
        "versions": machine.versions(("partway", "onnxruntime", "openvino")),
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
