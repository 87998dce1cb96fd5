"""An engine that runs the networks that adapters change, and for all others the model's own.

Nothing of the model itself is touched, so that without adapters it is what it was, byte for byte. Where an engine takes
weights as inputs of a network (ONNX Runtime), other numbers are given to the network that is loaded; where they are a
part of what it compiles (OpenVINO), the network is compiled anew.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine, Signature
from partway.engines.weights import Change, Openable, WithTokenVectors
from partway.loras import Lora
from partway.model.adapted import Adaptation, adaptation, part_of
from partway.model.control_units import key_of
from partway.model.package import Package
from partway.support.caching import Recent
from partway.support.machine import cores

Arrays = dict[str, NDArray[np.float32]]


class _Weights:
    """The computed weights of the networks of a part of the model, each made when a network first takes it."""

    def __init__(self, networks: Mapping[str, Openable]) -> None:
        self._lock = Lock()
        self._changes: Mapping[str, Mapping[str, Change]] = {
            name: {} if isinstance(graph, Path) else graph.changes for name, graph in networks.items()
        }
        self._with_vectors = [name for name, graph in networks.items() if isinstance(graph, WithTokenVectors)]
        self._made: Arrays = {}
        self.taken = False

    @property
    def layout(self) -> object:
        """What has to be the same for networks that are loaded to take other numbers."""
        shapes = {name: {one: change.shape for one, change in own.items()} for name, own in self._changes.items()}
        return self._with_vectors, shapes

    def among(self, network: str, inputs: Iterable[str]) -> Arrays:
        """Those that are inputs of a network."""
        from concurrent.futures import ThreadPoolExecutor  # only where there are some, for it takes its time

        own = self._changes.get(network, {})
        with self._lock:
            names = [name for name in inputs if name in own]
            missing = [name for name in names if name not in self._made]
            with ThreadPoolExecutor(cores()) as pool:  # NumPy computes without Python's lock
                self._made |= zip(missing, pool.map(lambda name: own[name].values(), missing), strict=True)
            self.taken = self.taken or bool(names)
            return {name: self._made[name] for name in names}

    def names(self, network: str) -> Iterable[str]:
        """The names of a network's computed weights."""
        return self._changes.get(network, {})

    def forget(self, network: str) -> None:
        """Give back the memory of a network's weights."""
        with self._lock:
            for name in self.names(network):
                self._made.pop(name, None)


class _Kept(NamedTuple):
    key: str
    engine: Engine
    weights: _Weights
    form: str


class Adapted:
    """The changed networks that were used last, one set for each part of the model."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: Recent[object, Adaptation] = Recent(4)
        self._kept: dict[str, _Kept] = {}

    def adaptation(self, package: Package, loras: Sequence[Lora]) -> Adaptation:
        """What `adaptation` finds in one model, once for each state of the files."""
        key: list[object] = []
        if loras:
            from partway.adapters.reading import open_adapter  # only where there are some, for it takes its time

            key = [(one, open_adapter(one.file).source) for one in loras]
        return self._found.get((key_of(package), *key), lambda: adaptation(package, loras))

    def over(self, base: Engine, adaptation: Adaptation, opening: Callable[[Mapping[str, Openable]], Engine]) -> Engine:
        """An engine for one run.

        Engines of components that it does not change are dropped. One with an equal key is used again; one whose
        network has the same inputs is given other weights.
        """
        with self._lock:
            for part in self._kept.keys() - adaptation.networks.keys():
                del self._kept[part]
            for part, networks in adaptation.networks.items():
                kept, key = self._kept.pop(part, None), adaptation.keys[part]
                form = adaptation.forms.get(part, "")
                if kept is None or kept.key != key:
                    weights = _Weights(networks)
                    swapped = kept is not None and kept.weights.taken and kept.form == form
                    if kept is not None and swapped and kept.weights.layout == weights.layout:
                        kept = _Kept(key, kept.engine, weights, form)
                    else:
                        kept = None  # before the next one takes its memory
                        for network in networks:
                            base.release(network)
                        kept = _Kept(key, opening(networks), weights, form)
                self._kept[part] = kept
            return _Either(base, dict(self._kept)) if self._kept else base

    def engine(self, part: str) -> Engine | None:
        """The engine of a part of the model that is changed; None where none is kept."""
        return self._kept[part].engine if part in self._kept else None


class _Either:
    """Runs each network on the engine of its part of the model, and all others on the model's own."""

    def __init__(self, base: Engine, kept: Mapping[str, _Kept]) -> None:
        self._base, self._kept = base, kept
        self.batch = base.batch

    def signature(self, network: str) -> Signature:
        """What the network takes and gives, without the weights that it is given here."""
        kept = self._kept.get(part_of(network))
        if kept is None:
            return self._base.signature(network)
        inputs, outputs = kept.engine.signature(network)
        own = kept.weights.names(network)
        return Signature({name: port for name, port in inputs.items() if name not in own}, outputs)

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once."""
        kept = self._kept.get(part_of(network))
        if kept is None:
            return self._base.run(network, inputs)
        weights = kept.weights.among(network, kept.engine.signature(network).inputs)
        return kept.engine.run(network, {**inputs, **weights})

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        kept = self._kept.get(part_of(network))
        if kept is None:
            self._base.release(network)
        else:
            kept.engine.release(network)
            kept.weights.forget(network)
