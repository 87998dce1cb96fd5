"""Predict how much memory a run takes at its peak, before anything loads.

A process holds its libraries; of each loaded network its graph, its `weights` as the engine keeps them, and the
`activations` of its calls; and the pictures. Networks of one stage are loaded together, and where memory is limited
those of the stage before are released. `partway.engines.table` has what each engine was measured to take;
``benchmarks/memory.py`` compares whole runs with what is predicted. What is done to need less is in `memory`.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from partway.budget.activations import Work, activations
from partway.budget.weights import Weights, weights
from partway.engines import ENGINES, EngineOptions
from partway.engines.table import Rates
from partway.graphs import FUSED
from partway.model.package import Package

__all__ = ["Load", "Work", "in_turn", "known", "loads", "peak"]

_BYTES = 4  # of a number in float32, in which engines hold and compute what is not said to be less
_HALVED = 0.9  # of weights held in bf16 and fp16, where what was read stays as it is
_UNFORGOTTEN = 0.12  # of weights that OpenVINO lays out in its first call, what is mapped of their file meanwhile
_STATIC = 0.6  # of activations, of networks compiled for one size
_TILED = 1.1  # of a VAE's weights as float32, what its convolutions in tiles hold beside them
_COPIES = 4  # of a picture in float32, on its way in and out


class Load(NamedTuple):
    """One network's memory in bytes: while it loads, once it has loaded, and what its calls add to that and keep."""

    loading: int
    held: int
    working: int

    @property
    def most(self) -> int:
        """The most it takes at any time."""
        return max(self.loading, self.held + self.working)


def known(engine: str) -> bool:
    """Whether the memory that an engine takes was measured, so that it can be predicted."""
    return ENGINES[engine].rates is not None


def loads(package: Package, engine: str, work: Work, options: EngineOptions) -> dict[str, Load]:
    """The memory of each of the package's networks on an engine that is `known`."""
    rates = _rates(engine)
    if package.checkpoint is not None or FUSED.items() <= package.manifest.items():
        rates = rates._replace(scores=False)
    halved = options.precision in ("bf16", "fp16") or (options.precision == "fastest" and _computes_in_16_bits(engine))
    tiled = options.tiled and not halved and bool(rates.laid_out)
    share = (_STATIC if options.static else 1) * (0.5 if halved else 1)
    found = {}
    for name, file in package.networks.items():
        stored = weights(package, name)
        if stored.stored == "int8" and package.size_conditions:
            # Nearly all of SDXL's weights are those of products, which are copied where they have 8 bits; what the
            # rates of mapped ones were measured on has more of convolutions, which stay in the file.
            stored = stored._replace(beside=False)
        built = not isinstance(file, Path)  # its weights are mapped, and widened one after the other
        if rates.laid_out and (not isinstance(file, Path) or file.suffix == ".xml"):
            loading = held = _laid_out(stored, rates, halved=halved)
        else:
            loading, held = _read(stored, rates, options, halved=halved)
            loading = rates.mapped["fp32"] if built else loading
        if tiled and name in ("vae_encoder", "vae_decoder"):
            loading, held = loading + _TILED, held + _TILED
        graph = rates.graph[name != "unet"]
        working = int(activations(package, name, stored.stored, work, rates) * _BYTES * share)
        first = int(_UNFORGOTTEN * stored.size) + working if built and rates.laid_out else 0
        found[name] = Load(int(loading * stored.size) + graph + first, int(held * stored.size) + graph, working)
    return found


def in_turn(parts: Sequence[Load]) -> Load:
    """The memory of a network whose parts run one after the other, each loaded for that and then released."""
    most = max(part.most for part in parts)
    working = max(part.working for part in parts)
    return Load(most, 0, working)


def peak(engine: str, stages: Iterable[Sequence[Load]], pictures: int, *, released: bool) -> int:
    """Bytes at the peak of a run whose ``stages`` follow each other, each ``released`` before the next or not.

    Networks of one stage load one after the other and keep what they hold and work with until its end.
    ``pictures``: pixels of all pictures.
    """
    rates, most, before = _rates(engine), 0, 0
    for stage in stages:
        here = 0 if released else before
        for load in stage:
            most = max(most, here + load.most)
            here += load.held + load.working
        before = here - rates.returned * sum(load.working for load in stage)
    return rates.base + most + 3 * _BYTES * _COPIES * pictures


def _rates(engine: str) -> Rates:
    rates = ENGINES[engine].rates
    assert rates is not None, f"nobody measured the memory of {engine}"
    return rates


@cache
def _computes_in_16_bits(engine: str) -> bool:
    """Whether an engine does so on this processor where it may choose."""
    return any(options.get("precision") in ("bf16", "fp16") for options in ENGINES[engine].engine.variants("CPU"))


def _read(stored: Weights, rates: Rates, options: EngineOptions, *, halved: bool) -> tuple[float, float]:
    """Bytes for each of the weights' as float32: while they load, and once they have."""
    if stored.beside and stored.stored in rates.mapped:
        loading = rates.mapped[stored.stored]
    else:
        loading = rates.loading[stored.stored] * (1.0 if options.frugal else rates.heaped)
    held = rates.held[stored.stored] * (_HALVED if halved else 1)
    if stored.beside and options.frugal:
        held -= rates.reread.get(stored.stored, 0)
    return loading, held


def _laid_out(stored: Weights, rates: Rates, *, halved: bool) -> float:
    """The same of an OpenVINO IR, both while it loads and once it has: its file is given back meanwhile."""
    if not halved:
        return rates.laid_out[stored.stored]
    return rates.laid_out[stored.stored] * (_HALVED if stored.stored == "int8" else 0.5)
