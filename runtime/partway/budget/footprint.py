"""How much memory a run takes at its peak, predicted from the model's files and configuration before anything loads.

A process holds its libraries, each network's weights as the engine keeps them, and its activations. Those of the UNet,
in numbers for one row of its batch::

    3 * widest * n  +  (8 * channels + 77 * heads) * a  +  heads * a ** 2

``widest`` is the channels of the widest input, a level's own and those that come up from the next one, for each of the
``n`` cells of the latents, so that each level counts a quarter of the one above. ``a`` is the cells of the finest level
with attention, whose feed-forward layers multiply its ``channels``. The last term, the scores of self-attention, is for
engines that write them out, of graphs whose attention is not one operator. Where weights are stored in 8 bits and an
engine widens a layer's at every call, there are those of the largest, once for all rows. The VAE's are
``rate * widest`` for each pixel, or its own scores.

`RATES` has what these are multiplied by, found by measuring single networks of small models at several sizes;
``benchmarks/memory.py`` compares whole runs with what is predicted.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from partway.engines import EngineOptions
from partway.engines.weights import BITS
from partway.graphs import SHALLOW, TOKENIZERS, VAES
from partway.model.package import Package

TOKENS = 77
_WIDER = {"fp32": 1, "fp16": 2, "int8": 4}  # what weights grow to as float32, by how they are stored
_BYTES = 4  # of a number in float32, in which engines hold and compute what is not said to be less


class Rates(NamedTuple):
    """What an engine needs, measured.

    base     bytes of the process with nothing loaded
    graph    bytes of a network beside its weights, for the UNet and for others
    held     bytes for each byte that the weights have in float32, by how they are stored
    read     of that, what is read again at every call where it lies beside the graph, and can be given back
    loading  the same while a network loads; ``mapped``: of weights beside the graph, in a file that is mapped
    heaped   `loading` where freed blocks stay in the heap, as a multiple
    scores   whether attention writes out its scores, where it is not one operator of the graph
    unet, vae  activations, to be multiplied by the numbers above; the UNet's by how weights are stored
    widened  times the square of the UNet's channels, what it has of weights of 8 bits at once
    later    the same of a decoder that loads where others were released, as a multiple
    returned  whether networks give back what they worked with when another stage begins
    """

    base: int
    graph: tuple[int, int]
    held: Mapping[str, float]
    read: Mapping[str, float]
    loading: Mapping[str, float]
    mapped: Mapping[str, float]
    heaped: float
    scores: bool
    unet: Mapping[str, float]
    widened: float
    vae: float
    later: float
    returned: bool


RATES = {
    "onnxruntime": Rates(
        base=86_000_000,
        graph=(10_000_000, 4_000_000),
        held={"fp32": 1.0, "fp16": 1.0, "int8": 0.3},
        read={"int8": 0.18},
        loading={"fp32": 1.7, "fp16": 1.7, "int8": 0.42},
        mapped={"fp32": 1.05, "int8": 0.13},
        heaped=1.4,
        scores=True,
        unet={"fp32": 1.7, "fp16": 1.7, "int8": 1.0},
        widened=36,
        vae=5.5,
        later=1.0,
        returned=False,
    ),
    # It holds the weights that it has read and those that it has laid out for its kernels.
    "openvino": Rates(
        base=132_000_000,
        graph=(28_000_000, 14_000_000),
        held={"fp32": 2.05, "fp16": 2.05, "int8": 1.9},
        read={},
        loading={"fp32": 1.9, "fp16": 2.05, "int8": 1.4},
        mapped={"fp32": 1.9},
        heaped=1.0,
        scores=False,
        unet={"fp32": 2.4, "fp16": 2.4, "int8": 2.4},
        widened=0,
        vae=6.0,
        later=1.5,  # how well tensors share memory there differs from run to run; this is its worst
        returned=True,
    ),
}
_HALVED = 0.9  # of `held`, in bf16 and fp16, where what was read stays as it is
# Of float32, what kernels hold of an OpenVINO file's weights; the file is forgotten while they are laid out.
_LAID = {"fp32": 1.03, "fp16": 1.03, "int8": 1.4}
_STATIC = 0.6  # of activations, of networks compiled for one size
_OUTERMOST = 0.05  # of the UNet's weights, those of its outermost layers; 0.02 for Stable Diffusion 1.5
_UNEVEN = 1.3  # times its even share, what a segment has of the UNet's weights at the most
_TINY = 64  # channels of a tiny autoencoder at the size of the picture
_COPIES = 4  # of a picture in float32, on its way in and out


class Load(NamedTuple):
    """One network's memory in bytes: loading, once loaded, and what its calls add to that and keep."""

    loading: int
    held: int
    working: int

    @property
    def most(self) -> int:
        """The most it has at any time."""
        return max(self.loading, self.held + self.working)


class Work(NamedTuple):
    """What a run asks of networks: height and width in latents of what UNet and VAE are shown, rows of a UNet's batch.

    released: whether each stage's networks are released before the next
    """

    unet: tuple[int, int]
    vae: tuple[int, int]
    rows: int
    released: bool = False


def loads(package: Package, engine: str, work: Work, options: EngineOptions) -> dict[str, Load]:
    """Each network's memory on an engine, a key of `RATES`."""
    rates = RATES[engine]
    if package.manifest.get("attention") == "fused" or package.checkpoint is not None:
        rates = rates._replace(scores=False)
    halved = options.precision in ("bf16", "fp16") or (options.precision == "fastest" and _fast(engine))
    less = (_STATIC if options.static else 1) * (0.5 if halved else 1)
    heaped = 1.0 if options.frugal else rates.heaped
    found = {}
    for name in package.networks:
        whole, mapped, stored = _weights(package, name)
        loading = rates.mapped[stored] if mapped and stored in rates.mapped else rates.loading[stored] * heaped
        held = rates.held[stored] * (_HALVED if halved else 1)
        held -= rates.read.get(stored, 0) if mapped and options.frugal else 0
        file = package.networks[name]
        if not isinstance(file, Path):  # its weights are mapped, and widened one after the other
            loading = rates.mapped["fp32"]
        if engine == "openvino" and (not isinstance(file, Path) or file.suffix == ".xml"):
            loading = held = _LAID[stored] * (1 if not halved else _HALVED if stored == "int8" else 0.5)
        graph = rates.graph[name != "unet"]
        working = int(_working(package, name, stored, work, rates) * _BYTES * less)
        found[name] = Load(int(loading * whole) + graph, int(held * whole) + graph, working)
    return found


@cache
def _fast(engine: str) -> bool:
    """Whether the processor computes in 16 bits where it may choose."""
    if engine != "openvino":
        return False
    from partway.engines.openvino import precisions

    return not {"bf16", "fp16"}.isdisjoint(precisions("CPU"))


def in_turn(parts: Sequence[Load]) -> Load:
    """Of parts of a network that are loaded one at a time, at every call: nothing stays but what they work with."""
    most = max(part.most for part in parts)
    working = max(part.working for part in parts)
    return Load(most, 0, working)


def peak(engine: str, stages: Iterable[Sequence[Load]], pictures: int, *, released: bool) -> int:
    """Bytes at the peak of a run whose ``stages`` follow each other, each ``released`` before the next or not.

    Networks of one stage load one after the other, and what they hold and work with stays until its end.
    ``pictures``: pixels of all pictures.
    """
    rates, most, before = RATES[engine], 0, 0
    for stage in stages:
        here = 0 if released else before
        for load in stage:
            most = max(most, here + load.most)
            here += load.held + load.working
        before = here - rates.returned * sum(load.working for load in stage)
    return rates.base + most + 3 * _BYTES * _COPIES * pictures


def _working(package: Package, network: str, stored: str, work: Work, rates: Rates) -> float:
    """Numbers that a network's calls work with, its weights being stored so."""
    if network in TOKENIZERS:
        return 0.0
    if network.startswith("unet"):  # whole, shallow, or a segment, which has what earlier ones gave
        return _unet(package.config("unet"), stored, work, rates)
    if network in VAES["tiny"]:
        return float(rates.vae * _TINY * work.vae[0] * work.vae[1] * package.vae_scale_factor**2)
    config = package.config(network) or package.config("vae_decoder")
    channels = config.get("block_out_channels", [128, 256, 512, 512])
    shown = channels if network == "vae_encoder" else [*channels[1:], channels[-1]]
    widest = max(count / 4**level for level, count in enumerate(shown))
    cells = work.vae[0] * work.vae[1]
    flow = rates.vae * widest * cells * package.vae_scale_factor**2
    scores = float(cells**2) if rates.scores and config.get("mid_block_add_attention", True) else 0.0
    if network == "vae_encoder":
        return flow + scores
    # The decoder attends first, and its widest level works in the same memory; the encoder attends last.
    return max(flow, scores) * (rates.later if work.released else 1)


def _unet(config: Mapping[str, Any], stored: str, work: Work, rates: Rates) -> float:
    """Numbers that the UNet's calls work with, of all rows of the batch."""
    channels = list(config.get("block_out_channels", [320, 640, 1280, 1280]))
    kinds = config.get("down_block_types", ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"])
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)  # both mean the number of heads
    heads = list(heads) if isinstance(heads, list) else [heads] * len(channels)
    cells = work.unet[0] * work.unet[1]
    below = channels[1:] + channels[-1:]
    widest = max((own + more) / 4**level for level, (own, more) in enumerate(zip(channels, below, strict=True)))
    finest = next((i for i, kind in enumerate(kinds[: len(channels)]) if "CrossAttn" in kind), len(channels) - 1)
    attending = cells / 4**finest
    flow = cells * 3 * widest + attending * (8 * channels[finest] + heads[finest] * TOKENS)
    row = rates.unet[stored] * flow + (heads[finest] * attending**2 if rates.scores else 0)
    return work.rows * row + (rates.widened * max(channels) ** 2 if stored == "int8" else 0)


def _weights(package: Package, network: str) -> tuple[int, bool, str]:
    """Bytes that a network's weights have in float32, whether most lie beside its graph, and how they are stored."""
    file = package.networks[network]
    if not isinstance(file, Path):  # it is built, and knows
        numbers = [(prod(weight.shape), BITS[weight.dtype]) for weight in file.weights.values()]
        halved = sum(count for count, bits in numbers if bits < 32) > sum(count for count, _ in numbers) / 2
        return _BYTES * sum(count for count, _ in numbers), True, "fp16" if halved else "fp32"
    if network == SHALLOW:
        whole, mapped, stored = _weights(package, "unet")
        return int(_OUTERMOST * whole), mapped, stored
    if network in package.segments:  # they share the whole one's files
        whole, mapped, stored = _weights(package, "unet")
        return int(_UNEVEN * whole / len(package.segments)), mapped, stored
    if file.suffix == ".xml":
        size, mapped = file.with_suffix(".bin").stat().st_size, True
    else:
        beside = (one for one in file.parent.iterdir() if one.suffix not in (".json", ".xml", ".bin"))
        size = sum(one.stat().st_size for one in beside if one.is_file())
        mapped = file.stat().st_size < size / 2
    said = str(package.manifest.get("weights"))
    said = "int8" if said in ("int4", "w8a8") else said  # most of their weights have 8 bits
    stored = said if said in _WIDER else _stored(file)
    return size * _WIDER[stored], mapped, stored


def _stored(file: Path) -> str:
    """How weights are stored, as OpenVINO's file says; ONNX files of packages that do not say count as float32."""
    if file.suffix != ".xml":
        return "fp32"
    text = file.read_text("utf-8", errors="replace")
    types = {"int8": ('element_type="i8"', 'element_type="u8"'), "fp16": ('element_type="f16"',)}
    return next((name for name, marks in types.items() if any(mark in text for mark in marks)), "fp32")
