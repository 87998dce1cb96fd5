"""The networks of a model as files of a package: which graphs there are, and how each is stored."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from partway.building import parts
from partway.building.network import Network, Seam, Value
from partway.graphs import DEEP, SEGMENT, SHALLOW, SHALLOW_FILES
from partway.model.package import Package
from partway_export.families import FORMATS, INT4, W8A8
from partway_export.onnx_networks import single_timestep, write_onnx
from partway_export.openvino_networks import many_timesteps, write_openvino
from partway_export.reference import ORDER

_PLAIN = {W8A8: "fp32"}  # before it is quantised
_KINDS = {"FusedMatMul": "MatMul"}


class Wanted(NamedTuple):
    """A package's format and weights, whether the UNet's outermost layers are split off, and its number of segments."""

    to: str
    weights: str
    split: bool = False
    segments: int | None = None

    def stored(self, network: str) -> str:
        """How a network's weights are stored: 4 bits, and 8 for activations, are for the UNet alone."""
        if network == SHALLOW and self.weights == W8A8:  # nearly all of whose layers would stay in float
            return "int8"
        unet = network in ("unet", SHALLOW)
        return "int8" if self.weights in (INT4, W8A8) and not unet else self.weights


def built(package: Package) -> dict[str, Network]:
    """The networks of a model that is not exported, in the order in which their outputs feed each other."""
    found = {name: package.networks[name] for name in ORDER if name in package.networks}
    return {name: network for name, network in found.items() if isinstance(network, Network)}


def write_network(package: Package, name: str, folder: Path, wanted: Wanted) -> dict[str, Path]:
    """Write a network of a model that is not exported into ``folder/name``, a UNet with its parts; return the files.

    Weights that are to compute in 8 bits are written as float32. Raises `PackageError` for a UNet that is too small to
    be cut into so many segments.
    """
    path = folder / name / FORMATS[wanted.to]
    path.parent.mkdir(parents=True, exist_ok=True)
    network = _in_order(name, _named(built(package)[name]))
    if name != "unet":
        _write([(path, network)], wanted.to, wanted.stored(name))
        return {name: path}
    network = single_timestep(network) if wanted.to == "onnx" else many_timesteps(network)
    whole = network if wanted.split else replace(network, outputs=_without_features(network))
    shallow = path.with_name(SHALLOW_FILES[wanted.to])
    together = [(path, whole)]
    if wanted.split and wanted.weights != W8A8:
        together.append((shallow, parts.shallow(network)))
    if wanted.segments is not None:
        cut = parts.segments(whole, wanted.segments)
        together += [(path.with_name(SEGMENT.format(index)), one) for index, one in enumerate(cut)]
    _write(together, wanted.to, _PLAIN.get(wanted.weights, wanted.weights))
    if wanted.split and wanted.weights == W8A8:
        _write([(shallow, parts.shallow(network))], wanted.to, wanted.stored(SHALLOW))
    return {name: path, **({SHALLOW: shallow} if wanted.split else {})}


def _write(networks: Sequence[tuple[Path, Network]], to: str, weights: str) -> None:
    if to == "onnx":
        write_onnx(dict(networks), weights)
    else:
        for path, network in networks:
            write_openvino(network, path, weights)


def _named(network: Network) -> Network:
    """The network with names: of outputs where they are made, by which alone engines may know them, and of layers."""
    aliases = [node for node in network.nodes if node.kind == "Identity"]
    names = {node.inputs[0]: node.outputs[0] for node in aliases}
    nodes, seams, gone = [], [], [index for index, node in enumerate(network.nodes) if node.kind == "Identity"]
    for node in network.nodes:
        if node.kind != "Identity":
            inputs, outputs = (tuple(names.get(one, one) for one in ends) for ends in (node.inputs, node.outputs))
            layer = next((name for name in inputs[1:2] if name in network.weights), "").removesuffix(".weight")
            kind = _KINDS.get(node.kind, node.kind)
            nodes.append(node._replace(inputs=inputs, outputs=outputs, name=layer and f"{layer}/{kind}"))
    for seam in network.seams:
        values = {names.get(name, name): value for name, value in seam.values.items()}
        seams.append(Seam(seam.place - sum(index < seam.place for index in gone), values))
    return replace(network, nodes=nodes, seams=seams)


def _in_order(name: str, network: Network) -> Network:
    """The network with what optimum's pipelines take first: of SDXL's second text encoder the projection."""
    first = "text_embeds" if name == "text_encoder_2" else next(iter(network.outputs))
    return replace(network, outputs={first: network.outputs[first], **network.outputs})


def _without_features(unet: Network) -> dict[str, Value]:
    return {name: value for name, value in unet.outputs.items() if name != DEEP}
