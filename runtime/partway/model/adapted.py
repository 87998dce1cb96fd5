"""A model with adapters: which of its networks they change, and what computes the weights that they change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Change, Graph, Networks, Openable, Weight
from partway.errors import InputError
from partway.graphs import ADAPTED, IMAGE_ADAPTER, IMAGE_ENCODER, TOKENIZERS, skips
from partway.loras import Lora
from partway.model.package import Package

if TYPE_CHECKING:
    from partway.adapters.changes import Delta
    from partway.building.replaced import ExportedGraph
    from partway.checkpoints.parts import Weights

Array = NDArray[np.float32]
_WAYS = ("text_projection", "text_projection.weight")  # OpenCLIP's name of a matrix, and of its transpose
_CALIBRATED = "w8a8"


@dataclass(frozen=True)
class Adaptation:
    """What adapters make of a model.

    networks  the changed networks by component: a text encoder, the UNet with its shallow graph and its segments, a
              ControlNet, an IP-Adapter's encoder
    keys      a cache key of each component's weights
    forms     a cache key of each component's graph: where it is equal, only numbers differ
    """

    networks: Mapping[str, Mapping[str, Openable]] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)

    @property
    def text_key(self) -> str:
        """A cache key of what the text encoders say."""
        return "".join(self.keys.get(part, "") for part in TOKENIZERS)


def adaptation(package: Package, loras: Sequence[Lora]) -> Adaptation:
    """Find what adapters change in a model, and the ControlNets and adapters beside it.

    Raises `PackageError` or `InputError` if an adapter does not fit.
    """
    found = _adaptation(package, loras)
    return _guided(found, package) if package.control_units or package.image_prompt else found


def _adaptation(package: Package, loras: Sequence[Lora]) -> Adaptation:
    if not loras:
        return Adaptation()
    if package.checkpoint is None:
        return _exported(package, loras)
    found = changes(package, loras)
    networks = {name: _networks(package, name, own) for name, own in found.items()}
    return Adaptation(networks, {name: _key(own) for name, own in found.items()})


def changes(package: Package, loras: Sequence[Lora]) -> dict[str, dict[str, Change]]:
    """The weights of a model that is not exported as they are with adapters, by part and name; raises as `adaptation`.

    They have the shapes in which they are stored.
    """
    from partway.adapters.changes import find  # only where there are adapters, for it takes its time

    assert package.checkpoint is not None
    parts = {name: package.checkpoint.parts[name].weights for name in ADAPTED if name in package.checkpoint.parts}
    shapes = {name: _shapes(weights) for name, weights in parts.items()}
    width = package.config("unet")["cross_attention_dim"]
    deltas = find(loras, shapes, width, cut="distilled" in package.checkpoint.title)
    return {name: _changes(parts[name], own) for name, own in deltas.items()}


def _guided(found: Adaptation, package: Package) -> Adaptation:
    """The same with ControlNets and adapters, and with a UNet that takes what they give."""
    own = {name: one for name, one in package.networks.items() if part_of(name) == "unet"}
    unet = {**own, **found.networks.get("unet", {})}
    if package.checkpoint is None:
        unet = {name: _joined(one, package.config("unet")) for name, one in unet.items()}
    keys = {one.network: repr(one.part.sources) for one in package.control_units}
    takes = repr([(one.network, one.part.once) for one in package.control_units])
    if package.image_prompt is not None:
        keys |= dict.fromkeys((IMAGE_ENCODER, IMAGE_ADAPTER), repr(package.image_prompt.part.sources))
        takes += " and a picture"
    networks = {name: {name: package.networks[name]} for name in keys}
    return Adaptation(
        {**found.networks, "unet": unet, **networks},
        {**found.keys, "unet": f"{found.keys.get('unet', '')} guided by {takes}", **keys},
        {"unet": takes, **keys},
    )


def _joined(graph: Any, unet: Mapping[str, Any]) -> Graph:
    """An exported graph of the UNet, changed or not, with residuals that are added to its skips."""
    from partway.building.exported import Exported
    from partway.building.joined import Joined
    from partway.building.replaced import Replaced

    channels = [unet["block_out_channels"][level] for level, _ in skips(unet)]
    if isinstance(graph, Path):
        return Replaced(Joined(Exported(graph), channels), {})
    return replace(graph, file=Joined(graph.file, channels))


def _exported(package: Package, loras: Sequence[Lora]) -> Adaptation:
    """The same of an exported model, whose layers are found in its graphs."""
    from partway.adapters.changes import find
    from partway.building.described import Described
    from partway.building.exported import Exported

    if package.manifest.get("weights") == _CALIBRATED:
        raise InputError("the model computes in 8 bits that were measured without adapters; export it as int8 or fp16")
    told = package.manifest.get("layers")
    tables = told if isinstance(told, dict) else {}

    def taken(name: str, file: Path) -> "ExportedGraph":
        return (Exported if package.format == "onnx" else Described)(file, tables.get(part_of(name)))

    files = {name: file for name, file in package.networks.items() if isinstance(file, Path)}
    parts = {name: taken(name, file) for name, file in files.items() if name in ADAPTED}
    shapes = {
        name: {f"{layer}.weight": product.shape for layer, product in part.products.items()}
        for name, part in parts.items()
    }
    deltas = find(loras, shapes, package.config("unet")["cross_attention_dim"])
    networks: dict[str, dict[str, Path | Graph]] = {}
    for name, file in files.items():
        if own := deltas.get(part_of(name)):
            graph = parts[name] if name in parts else taken(name, file)
            networks.setdefault(part_of(name), {})[name] = _replaced(graph, own)
    return Adaptation(networks, {part: _key(deltas[part]) for part in networks})


def _replaced(graph: "ExportedGraph", deltas: Mapping[str, "Delta"]) -> Graph:
    """An exported graph with its layers changed."""
    from partway.building.replaced import Replaced

    changes = {}
    for name, delta in deltas.items():
        layer = name.removesuffix(".weight")
        if layer in graph.products:
            changes[layer] = Change(
                delta.key, graph.products[layer].node_shape, partial(_in_graph, graph, layer, delta)
            )
    return Replaced(graph, changes)


def _in_graph(graph: "ExportedGraph", layer: str, delta: "Delta") -> Array:
    """A layer's weight with its changes, as its node takes it."""
    made = delta.applied(graph.base(layer))
    return made.T if graph.products[layer].transposed else made


def _key(changes: Mapping[str, "Change | Delta"]) -> str:
    return repr(sorted((name, one.key) for name, one in changes.items()))


def _shapes(weights: "Weights") -> dict[str, tuple[int, ...]]:
    shapes = {name: weight.shape for name, weight in weights.items()}
    stored, transposed = _WAYS
    if stored in shapes:
        shapes[transposed] = shapes.pop(stored)[::-1]
    return shapes


def _changes(weights: "Weights", deltas: Mapping[str, "Delta"]) -> dict[str, Change]:
    """Changes by the model's own names of weights."""
    stored, transposed = _WAYS
    found: dict[str, Change] = {}
    for name, delta in deltas.items():
        own = stored if name == transposed and stored in weights else name
        scale = weights.get(f"{name}.scale".replace(".weight.scale", ".scale_weight"))
        make = partial(_changed, weights[own], delta, scale, transposed=own == stored)
        found[own] = Change(delta.key, weights[own].shape, make)
    return found


def _changed(weight: Weight, delta: "Delta", scale: Weight | None, *, transposed: bool) -> Array:
    """A weight with its changes, in the layout in which it is stored; what multiplies it later is taken out."""
    from partway.checkpoints.values import read

    base = read(weight)
    if scale is None:
        return delta.applied(base.T).T if transposed else delta.applied(base)
    factor = read(scale).reshape(-1)[0]
    return delta.applied(base * factor) / factor


def _networks(package: Package, part: str, changes: Mapping[str, Change]) -> Networks:
    graphs: dict[str, Any] = {name: one for name, one in package.networks.items() if part_of(name) == part}
    return {name: graph.changed(changes) for name, graph in graphs.items()}


def part_of(network: str) -> str:
    """The part of a model that a network belongs to."""
    return "unet" if network.startswith("unet") else network
