"""What is slow to make is made once in a run of the tests: small models, what torch traced of them, packages.

`Store` keeps folders by name, shared by the processes of the run. `shared_steps` has exports share what they do alike:
a network that several models have, or that is stored in several precisions, is traced and optimised once for a format.
"""

import gc
import hashlib
import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from filelock import FileLock

import tiny


class Exported(NamedTuple):
    """A package, what made it, and the diffusers folder that it came from."""

    folder: Path
    source: Path
    to: str
    weights: str


class Store:
    """Folders that are made when they are asked for first, by whichever process asks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str, make: Callable[[Path], Any]) -> Path:
        """The folder of that name, which ``make`` fills where it is not there yet."""
        room = self.root / name  # of its own, so that nothing that is being made lies beside something finished
        made = room / "made"
        if not made.exists():
            room.mkdir(parents=True, exist_ok=True)
            with FileLock(room / "lock"):
                if not made.exists():
                    shutil.rmtree(room / "making", ignore_errors=True)
                    make(room / "making")
                    (room / "making").rename(made)
        return made

    def model(self, kind: str) -> Path:
        """A small model of ``kind`` as diffusers writes it."""
        return self.get(f"models/{kind}", partial(tiny.build, kind=kind))

    def exported(self, kind: str, to: str, weights: str, **options: Any) -> Exported:
        """A small model's package, of a format and weights, made with ``options`` of `partway_export.export`."""
        from partway_export import export

        source = self.model(kind)
        told = "".join(f" {name}={value}" for name, value in sorted(options.items()))

        made = self.get(
            f"packages/{kind} {to} {weights}{told}",
            lambda folder: export(source, folder, to=to, weights=weights, **options),
        )
        return Exported(made, source, to, weights)


@contextmanager
def shared_steps(store: Store) -> Iterator[None]:
    """Have exports take the outcome of their slow steps from ``store`` if the same was done before."""
    import onnxslim

    from partway_export import stages

    _import_libraries()
    trace, compress, slim = stages.trace, stages.compress_openvino, onnxslim.slim

    def trace_once(name: str, network: Any, folder: Path, to: str) -> Path:
        config = network.module.config
        config = config if isinstance(config, dict) else config.to_dict()
        # Not where it came from, nor what is done to its latents outside the graph.
        told = sorted((key, value) for key, value in config.items() if key[0] != "_" and key != "scaling_factor")
        weights = (part for key, value in network.module.state_dict().items() for part in (key.encode(), value.numpy()))
        key = _digest(repr((name, to, network.config.inputs, told)).encode(), *weights)
        made = store.get(f"traced/{key}", lambda room: trace(name, network, room, to))
        shutil.copytree(made / name, folder / name, dirs_exist_ok=True)
        return next((folder / name).glob("*.onnx" if to == "onnx" else "*.xml"))

    def compress_once(path: Path, weights: str) -> None:
        def make(room: Path) -> None:
            room.mkdir()
            for file in files:
                shutil.copy(file, room)
            compress(room / path.name, weights)

        files = sorted(path.parent.glob(f"{path.stem}*"))
        key = _digest(weights.encode(), *(file.read_bytes() for file in files))
        shutil.copytree(store.get(f"compressed/{key}", make), path.parent, dirs_exist_ok=True)

    def slim_once(model: Any) -> Any:
        def make(room: Path) -> None:
            room.mkdir()
            (room / "model.onnx").write_bytes(slim(model).SerializeToString())

        key = _digest(model.SerializeToString(deterministic=True))
        return type(model).FromString((store.get(f"slim/{key}", make) / "model.onnx").read_bytes())

    with (
        patch.object(stages, "trace", trace_once),
        patch.object(stages, "compress_openvino", compress_once),
        patch.object(onnxslim, "slim", slim_once),
    ):
        yield


def _digest(*parts: Any) -> str:
    """The checksum of bytes, arrays' too."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _import_libraries() -> None:
    """Import what exports import, and have no garbage collection look through it: each takes half a second."""
    from partway_export.quiet import quiet

    with quiet():
        for name in ("nncf", "optimum.exporters.onnx.model_configs", "optimum.exporters.openvino.model_configs"):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
