"""How large a network's weights are and how they are stored, from its files and what ``partway.json`` says."""

from math import prod
from pathlib import Path
from typing import NamedTuple

from partway.engines.weights import BITS
from partway.graphs import SHALLOW
from partway.model.package import Package

_WIDER = {"fp32": 1, "fp16": 2, "int8": 4}  # what weights grow to as float32, by how they are stored
_OUTERMOST = 0.05  # of the UNet's weights, those of its outermost layers; 0.02 for Stable Diffusion 1.5
_UNEVEN = 1.3  # times its even share, what a segment has of the UNet's weights at the most


class Weights(NamedTuple):
    """A network's weights.

    size    bytes that they would take as float32
    beside  whether most of them lie in a file of their own, which can be mapped
    stored  "fp32", "fp16" or "int8", the last also where only most have 8 bits
    """

    size: int
    beside: bool
    stored: str


def weights(package: Package, network: str) -> Weights:
    """The weights of one of the package's networks; of parts of the UNet, which share its files, at the most."""
    file = package.networks[network]
    if not isinstance(file, Path):  # it is built, and knows
        numbers = [(prod(weight.shape), BITS[weight.dtype]) for weight in file.weights.values()]
        total, halved = (sum(count for count, bits in numbers if bits <= most) for most in (64, 16))
        return Weights(4 * total, True, "fp16" if halved > total / 2 else "fp32")
    if network == SHALLOW:
        return _part(package, _OUTERMOST)
    if network in package.segments:
        return _part(package, _UNEVEN, of=len(package.segments))
    if file.suffix == ".xml":
        size, beside = file.with_suffix(".bin").stat().st_size, True
    else:
        others = (one for one in file.parent.iterdir() if one.suffix not in (".json", ".xml", ".bin"))
        size = sum(one.stat().st_size for one in others if one.is_file())
        beside = file.stat().st_size < size / 2
    said = str(package.manifest.get("weights"))
    said = "int8" if said in ("int4", "w8a8") else said
    stored = said if said in _WIDER else _stored(file)
    return Weights(size * _WIDER[stored], beside, stored)


def _part(package: Package, share: float, *, of: int = 1) -> Weights:
    unet = weights(package, "unet")
    return unet._replace(size=int(share * unet.size / of))


def _stored(file: Path) -> str:
    """How weights are stored, as OpenVINO's file says; ONNX files of packages that do not say count as float32."""
    if file.suffix != ".xml":
        return "fp32"
    text = file.read_text("utf-8", errors="replace")
    types = {"int8": ('element_type="i8"', 'element_type="u8"'), "fp16": ('element_type="f16"',)}
    return next((name for name, marks in types.items() if any(mark in text for mark in marks)), "fp32")
