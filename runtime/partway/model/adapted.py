"""A model with adapters: which of its networks they change, and an engine that runs those changed and all others not.

Nothing of the model itself is touched, so that without adapters it is what it was, byte for byte.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partway.adapters.changes import Delta, find
from partway.adapters.reading import open_adapter
from partway.checkpoints.parts import Weights
from partway.checkpoints.values import read
from partway.engines import Engine, Signature
from partway.engines.weights import Change, Networks, Weight
from partway.errors import InputError
from partway.graphs import FORMATS, TOKENIZERS
from partway.loras import Lora
from partway.model.package import Package
from partway.support.caching import Recent

if TYPE_CHECKING:
    from partway.building.exported import Exported

Array = NDArray[np.float32]
_WAYS = ("text_projection", "text_projection.weight")  # OpenCLIP's name of a matrix, and of its transpose
_PARTS = (*TOKENIZERS, "unet")


@dataclass(frozen=True)
class Adaptation:
    """What adapters make of a model.

    networks  those that they change, as they are then, by the part of the model: a text encoder or the UNet, to which
              its shallow graph and its segments belong
    keys      text for each part that is equal where its changes are
    """

    networks: Mapping[str, Networks] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def voice(self) -> str:
        """Text that is equal where the text encoders say the same."""
        return "".join(self.keys.get(part, "") for part in TOKENIZERS)


def adaptation(package: Package, loras: Sequence[Lora]) -> Adaptation:
    """Find what adapters change in a model; raises `PackageError` or `InputError` if one of them does not fit."""
    if not loras:
        return Adaptation()
    if package.checkpoint is None:
        return _exported(package, loras)
    parts = {name: package.checkpoint.parts[name].weights for name in _PARTS if name in package.checkpoint.parts}
    shapes = {name: _shapes(weights) for name, weights in parts.items()}
    unet = package.config("unet")
    deltas = find(loras, shapes, unet["cross_attention_dim"], cut="distilled" in package.checkpoint.title)
    changes = {name: _changes(parts[name], own) for name, own in deltas.items()}
    return Adaptation(
        {name: _networks(package, name, own) for name, own in changes.items()},
        {name: repr(sorted((one, change.key) for one, change in own.items())) for name, own in changes.items()},
    )


def _exported(package: Package, loras: Sequence[Lora]) -> Adaptation:
    """The same of an exported model, whose layers are found in its graphs."""
    from partway.building.exported import Exported

    if package.format != "onnx":
        raise InputError(
            f"adapters do not go with {FORMATS[package.format]}; export the model as ONNX, or give its file"
        )
    files = {name: file for name, file in package.networks.items() if isinstance(file, Path)}
    parts = {name: Exported(file) for name, file in files.items() if name in _PARTS}
    shapes = {
        name: {f"{layer}.weight": product.shape for layer, product in part.products.items()}
        for name, part in parts.items()
    }
    deltas = find(loras, shapes, package.config("unet")["cross_attention_dim"])
    networks: dict[str, dict[str, Any]] = {}
    for name, file in files.items():
        graph = parts[name] if name in parts else Exported(file) if _part(name) in deltas else None
        own = deltas.get(_part(name), {})
        layers = {one.removesuffix(".weight"): delta for one, delta in own.items()}
        if graph is not None and layers:
            made = {
                layer: Change(delta.key, partial(_in_graph, graph, layer, delta))
                for layer, delta in layers.items()
                if layer in graph.products
            }
            networks.setdefault(_part(name), {})[name] = graph.changed(made) if made else file
    keys = {part: repr(sorted((one, delta.key) for one, delta in deltas[part].items())) for part in networks}
    return Adaptation(networks, keys)


def _in_graph(graph: "Exported", layer: str, delta: Delta) -> Array:
    """A layer's weight with its changes, as its node takes it."""
    made = delta.applied(graph.base(layer))
    return np.ascontiguousarray(made.T if graph.products[layer].turned else made)


def _shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    shapes = {name: weight.shape for name, weight in weights.items()}
    stored, turned = _WAYS
    if stored in shapes:
        shapes[turned] = shapes.pop(stored)[::-1]
    return shapes


def _changes(weights: Weights, deltas: Mapping[str, Delta]) -> dict[str, Change]:
    """Changes by the model's own names of weights."""
    stored, turned = _WAYS
    found: dict[str, Change] = {}
    for name, delta in deltas.items():
        own = stored if name == turned and stored in weights else name
        scale = weights.get(f"{name}.scale".replace(".weight.scale", ".scale_weight"))
        found[own] = Change(delta.key, partial(_changed, weights[own], delta, scale, turned=own == stored))
    return found


def _changed(weight: Weight, delta: Delta, scale: Weight | None, *, turned: bool) -> Array:
    """A weight with its changes, in the layout in which it is stored; what multiplies it later is taken out."""
    factor = np.float32(1) if scale is None else read(scale).reshape(-1)[0]
    base = read(weight) * factor
    made = delta.applied(base.T).T if turned else delta.applied(base)
    return np.ascontiguousarray(made / factor, np.float32)


def _networks(package: Package, part: str, changes: Mapping[str, Change]) -> Networks:
    graphs: dict[str, Any] = {name: one for name, one in package.networks.items() if _part(name) == part}
    return {name: graph.changed(changes) for name, graph in graphs.items()}


def _part(network: str) -> str:
    """The part of a model that a network belongs to."""
    return "unet" if network.startswith("unet") else network


class Adapted:
    """The changed networks that were used last, one set for each part of the model."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: Recent[object, Adaptation] = Recent(4)
        self._kept: dict[str, tuple[str, Engine]] = {}

    def adaptation(self, package: Package, loras: Sequence[Lora]) -> Adaptation:
        """What `adaptation` finds, once for each state of the files."""
        key = [(one, open_adapter(one.file).source) for one in loras]
        return self._found.get((id(package), *key), lambda: adaptation(package, loras))

    def over(self, base: Engine, adaptation: Adaptation, opening: Callable[[Networks], Engine]) -> Engine:
        """An engine for one run. Networks that it has no use for are released, and what is the same is kept."""
        with self._lock:
            for part, (key, _) in list(self._kept.items()):
                if adaptation.keys.get(part) != key:
                    del self._kept[part]
            for part, networks in adaptation.networks.items():
                if part not in self._kept:
                    for network in networks:
                        base.release(network)
                    self._kept[part] = (adaptation.keys[part], opening(networks))
            engines = {part: engine for part, (_, engine) in self._kept.items()}
        return _Either(base, engines) if engines else base

    def engine(self, part: str) -> Engine | None:
        """The engine of a part of the model that is changed; None where none is kept."""
        return self._kept[part][1] if part in self._kept else None


class _Either:
    """Runs each network on the engine of its part of the model, and all others on the model's own."""

    def __init__(self, base: Engine, engines: Mapping[str, Engine]) -> None:
        self._base, self._engines = base, engines
        self.batch = base.batch

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        return self._of(network).signature(network)

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once."""
        return self._of(network).run(network, inputs)

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        self._of(network).release(network)

    def _of(self, network: str) -> Engine:
        return self._engines.get(_part(network), self._base)
