"""Adapters that become a part of the model before it is exported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from partway.building.networks import networks
from partway.checkpoints.values import read
from partway.engines.weights import Source
from partway.loras import Lora
from partway.model.adapted import changes
from partway.model.hashes import file_sha256
from partway.model.package import Package
from partway_export.storing import Data


@contextmanager
def fused(package: Package, loras: Sequence[Lora]) -> Iterator[Package]:
    """The model with adapters in its weights, which have to stay while the block runs; raises as `changes`."""
    if not loras:
        yield package
        return
    with TemporaryDirectory() as folder:
        yield _fused(package, loras, Path(folder) / "weights")


def told(loras: Sequence[Lora]) -> list[dict[str, Any]]:
    """What ``partway.json`` says of them."""
    files = {one.file: Path(one.file) for one in loras}
    return [{**one.as_dict(), "file": files[one.file].name, "sha256": file_sha256(files[one.file])} for one in loras]


def _fused(package: Package, loras: Sequence[Lora], file: Path) -> Package:
    """All weights of a network that changes are written anew, for they have to lie in one folder."""
    checkpoint = package.checkpoint
    assert checkpoint is not None
    parts, found = dict(checkpoint.parts), changes(package, loras)
    written = {}
    with Data(file) as data:
        for name, own in found.items():
            weights = parts[name].weights
            written[name] = {
                one: data.put(own[one].values() if one in own else read(weight)) for one, weight in weights.items()
            }
    source = Source.of(file)
    for name, weights in written.items():
        placed = {one: weight._replace(source=source) for one, weight in weights.items()}
        parts[name] = replace(parts[name], weights=placed)
    checkpoint = replace(checkpoint, parts=parts)
    return replace(package, networks=networks(checkpoint), checkpoint=checkpoint)
