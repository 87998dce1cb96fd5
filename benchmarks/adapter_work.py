"""What `benchmarks.adapters` measures in processes of their own: ``python -m benchmarks.adapter_work JSON``.

The last line that each writes is a JSON object.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

import partway
from benchmarks.checkpoint_work import _inputs
from partway.adapters.reading import open_adapter
from partway.bench.measuring import peak_bytes
from partway.building.network import Network, Node, Value
from partway.checkpoints.values import read
from partway.engines import Engine, EngineOptions, open_engine
from partway.engines.weights import Change, Graph, Weight
from partway.loras import Lora
from partway.model import unet
from partway.model.adapted import changes
from partway.model.package import Package, open_package
from partway.model.swapped import Adapted

Arrays = dict[str, np.ndarray]
PICTURES = 2
"""Rows of a call: one with and one without the prompt."""
CALLS = 3
"""Calls without an adapter and with it, in turn, after each swap: a pair says little where calls differ by a tenth."""
FEW_STEPS = "few steps"
"""Whole pictures in four steps, as with an LCM-LoRA, beside such in twenty with guidance and without an adapter."""


class Way(Protocol):
    """How an adapter reaches the UNet."""

    def swap(self, lora: Lora) -> None:
        """Take another adapter."""
        ...

    def call(self) -> None:
        """Run the UNet with it."""
        ...


class Partway:
    """What `partway.Pipeline` does."""

    def __init__(self, package: Package, engine: str, side: int, threads: int) -> None:
        self._package, self._options, self._name = package, EngineOptions(threads=threads), engine
        self._base, self._adapted = self._open(package.networks), Adapted()
        self._engine, self._inputs = self._base, _inputs(package, side)

    def _open(self, networks: Any) -> Engine:
        return open_engine(self._name, networks, self._options)

    def swap(self, lora: Lora) -> None:
        """As a run begins."""
        found = self._adapted.adaptation(self._package, [lora])
        self._engine = self._base  # what the last run had
        self._engine = self._adapted.over(self._base, found, self._open)

    def call(self) -> None:
        """As a run does."""
        unet.evaluate(self._engine, "unet", 500.0, self._inputs, batch=PICTURES)


@dataclass(frozen=True, eq=False)
class _Open:
    """A network with more inputs, all of which it is given at every call."""

    network: Network
    more: Mapping[str, Value] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    exported: None = None

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self.network.weights

    @property
    def inputs(self) -> Mapping[str, Value]:
        return {**self.network.inputs, **self.more}

    @property
    def outputs(self) -> Mapping[str, Value]:
        return self.network.outputs

    def with_files(self) -> bytes:
        return self.network.with_files()

    def with_inputs(self) -> bytes:
        return self.network.with_inputs()


class _Given:
    """A UNet that is given arrays beside its inputs."""

    def __init__(self, package: Package, engine: str, side: int, threads: int) -> None:
        self._package, self._inputs, self._arrays = package, _inputs(package, side), Arrays()
        self._name, self._options = engine, EngineOptions(threads=threads)
        self._engine: Engine | None = None

    def call(self) -> None:
        assert self._engine is not None
        steps = np.full([size or 1 for size in self._engine.signature("unet").inputs["timestep"].shape], 500.0)
        self._engine.run("unet", {"timestep": steps, **self._inputs, **self._arrays})

    def _opened(self, graph: Graph) -> Engine:
        return open_engine(self._name, {"unet": graph}, self._options)


class Fed(_Given):
    """Merged weights as inputs, where `Partway` has them in the network that it compiles."""

    def swap(self, lora: Lora) -> None:
        found = changes(self._package, [lora])["unet"]
        if self._engine is None:
            network = _unet(self._package).changed(found)
            stored = replace(network, inputs={**network.inputs, **_values(network.changes)}, changes={})
            self._engine = self._opened(_Open(stored))
        self._arrays = {name: change.values() for name, change in _unet(self._package).changed(found).changes.items()}


class Branch(_Given):
    """Down and up as inputs of a branch beside every layer; nothing is merged."""

    def swap(self, lora: Lora) -> None:
        modules = open_adapter(lora.file).modules
        if self._engine is None:
            names = list(_unet(self._package).changed(changes(self._package, [lora])["unet"]).changes)
            rank = next(iter(modules.values())).rank or 0
            self._engine = self._opened(_Open(_branched(_unet(self._package), names, rank)))
        keys = {name: f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}" for name in self._weights()}
        self._arrays = {}
        for name, key in keys.items():
            down, up = (read(modules[key].tensors[role]) for role in ("down", "up"))
            up = up * np.float32(lora.unet)  # alpha is the rank
            turned = down.ndim == 2
            self._arrays |= {f"{name}/down": down.T if turned else down, f"{name}/up": up.T if turned else up}

    def _weights(self) -> list[str]:
        assert self._engine is not None
        return [name.removesuffix("/up") for name in self._engine.signature("unet").inputs if name.endswith("/up")]


class Session(_Given):
    """Merged weights in a session that is made anew, in the place of those of the file; ONNX Runtime's alone."""

    def __init__(self, package: Package, engine: str, side: int, threads: int) -> None:
        super().__init__(package, engine, side, threads)
        self._session: Any = None

    def swap(self, lora: Lora) -> None:
        from partway.engines.onnxruntime import library

        ort, network = library(), _unet(self._package)
        self._session = None
        found = network.changed(changes(self._package, [lora])["unet"]).changes
        made = {name: ort.OrtValue.ortvalue_from_numpy(change.values()) for name, change in found.items()}
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.intra_op_num_threads, options.enable_mem_pattern = self._options.threads or 0, False
        folder = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(folder, str(self._package.root.resolve().parent))
        options.add_external_initializers(list(made), list(made.values()))
        wide = {name: one._replace(dtype="F32") if name in made else one for name, one in network.weights.items()}
        message = replace(network, weights=wide).with_files()
        self._session = ort.InferenceSession(message, options, providers=["CPUExecutionProvider"])

    def call(self) -> None:
        self._session.run(None, {"timestep": np.float32([500]), **self._inputs})


WAYS: dict[str, dict[str, Callable[..., Way]]] = {
    "onnxruntime": {"partway": Partway, "branch": Branch, "session": Session},
    "openvino": {"partway": Partway, "branch": Branch, "fed": Fed},
}


def measured(work: dict[str, Any]) -> dict[str, Any]:
    """Calls without an adapter, swaps (what the call after them takes longer is a part of them), and calls with one."""
    package = open_package(work["file"])
    told = (package, work["engine"], work["side"], work["threads"])
    if work["way"].startswith("memory"):
        return _memory(Partway(*told), work)
    if work["way"] == FEW_STEPS:
        return _pictures(work)
    plain, way = Partway(*told), WAYS[work["engine"]][work["way"]](*told)
    loras = [Lora(work["loras"][0], 0.8), Lora(work["loras"][1], 0.8), Lora(work["loras"][1], 0.5)]
    first = _seconds(partial(_swap, way, loras[0]))
    plain.call()
    found: dict[str, Any] = {"first": first, "plain": [], "calls": [], "swaps": []}
    for turn in range(work["rounds"]):
        swapped = _seconds(partial(_swap, way, loras[(turn + 1) % 3]))
        for _ in range(CALLS):
            found["plain"].append(_seconds(plain.call))
            found["calls"].append(_seconds(way.call))
        found["swaps"].append(swapped - float(np.median(found["calls"][-CALLS:])))
    return found


def _swap(way: Way, lora: Lora) -> None:
    """Swap, with the call after it, in which engines lay out what is new."""
    way.swap(lora)
    way.call()


def _memory(way: Partway, work: dict[str, Any]) -> dict[str, Any]:
    """The peak of this process: two swaps with a call each, or as many calls."""
    for file in work["loras"]:
        if work["way"] == "memory partway":
            way.swap(Lora(file, 0.8))
        way.call()
    return {"peak_bytes": peak_bytes(), "adapter_bytes": Path(work["loras"][0]).stat().st_size}


def _pictures(work: dict[str, Any]) -> dict[str, Any]:
    """Seconds of pictures at strength 0.5, by turns: in many steps, in few with the adapter's swap, in few again."""
    pipe, rng = partway.load(work["file"], engine=work["engine"], threads=work["threads"]), np.random.default_rng(0)
    many = {"steps": 20, "sampler": "ddim", "guidance_scale": 7.5}
    few = {"loras": {work["loras"][0]: 1.0}, "steps": 4, "sampler": "lcm", "schedule": "lcm", "guidance_scale": 1.0}

    def picture(settings: Mapping[str, Any]) -> float:
        """From a source and a prompt that the pipeline has not seen."""
        source = Image.fromarray(rng.integers(0, 256, (work["side"], work["side"], 3), np.uint8))
        return _seconds(partial(pipe.img2img, source, f"room {rng.integers(1 << 30)}", strength=0.5, **settings))

    picture(many | {"steps": 2})  # networks are opened when they are called first
    found: dict[str, Any] = {"many": [], "few, swapped": [], "few": []}
    for _ in range(work["rounds"]):
        for name, settings in (("many", many), ("few, swapped", few), ("few", few)):
            found[name].append(picture(settings))
    return found


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _unet(package: Package) -> Network:
    network = package.networks["unet"]
    assert isinstance(network, Network)
    return network


def _values(changes: Mapping[str, Change]) -> dict[str, Value]:
    return {name: Value("F32", change.shape) for name, change in changes.items()}


def _branched(network: Network, names: list[str], rank: int) -> Network:
    """The network with a branch of two more products beside each that takes one of these weights."""
    nodes, inputs = [], dict(network.inputs)
    for node in network.nodes:
        name = next((one for one in node.inputs[1:2] if one in names), None)
        if name is None:
            nodes.append(node)
            continue
        (given, *_), (out,) = node.inputs, node.outputs
        plain, low, high = (f"{name}/{part}" for part in ("plain", "low", "high"))
        kind = "Conv" if node.kind == "Conv" else "MatMul"
        outs, ins = network.weights[name].shape[:2]
        ones = (1, 1) if kind == "Conv" else ()
        shapes = ((rank, ins, *ones), (outs, rank, *ones)) if ones else ((ins, rank), (rank, outs))
        inputs |= {f"{name}/{part}": Value("F32", shape) for part, shape in zip(("down", "up"), shapes, strict=True)}
        nodes += [
            node._replace(outputs=(plain,)),
            Node(kind, (given, f"{name}/down"), (low,), "", {}),
            Node(kind, (low, f"{name}/up"), (high,), "", {}),
            Node("Add", (plain, high), (out,), "", {}),
        ]
    return replace(network, nodes=nodes, inputs=inputs, seams=())


if __name__ == "__main__":
    print(json.dumps(measured(json.loads(sys.argv[1]))))
