"""The table of engines: all that other places know of one before it opens.

A new engine is a file like `partway.engines.onnxruntime`, and a row here.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol, cast

from partway.engines.options import EngineOptions
from partway.engines.protocol import Engine
from partway.engines.weights import Openable


class EngineClass(Protocol):
    """The class of an engine; it imports its library when one of these is called, not before."""

    def __call__(self, files: Mapping[str, Openable], options: EngineOptions) -> Engine:
        """Open the engine over network files; raises `EngineError` for what it cannot do."""
        ...

    def devices(self) -> list[tuple[str, str]]:
        """Every (device, description) that it offers on this machine."""
        ...

    def variants(self, device: str) -> list[dict[str, Any]]:
        """The options worth measuring on a device, as keywords of `EngineOptions`; float32 first."""
        ...


class Rates(NamedTuple):
    """How much memory an engine takes on a CPU, measured on single networks of small models at several sizes.

    A mapping has a value for each way that weights are stored: "fp32", "fp16" or "int8". "Of the weights" means: for
    each byte that they take as float32.

    base      bytes of the process before any network loads
    graph     bytes of a network beside its weights and activations: of the UNet, and of any other
    loading   of the weights, while a network loads
    heaped    factor on ``loading`` for an engine whose freed blocks stay in the heap
    mapped    of the weights, while a network loads whose weights lie in a file of their own, which is mapped
    held      of the weights, once the network has loaded
    reread    the part of ``held`` that is read again from that file at every call, and given back where memory counts
    laid_out  of the weights, while an OpenVINO IR loads and once it has: its file is given back meanwhile
    scores    whether attention writes out its scores, where it is not one operator of the graph
    unet      factor on the UNet's activations
    widened   8-bit weights that are float32 at once, as a factor on the square of the UNet's most channels
    vae       factor on the VAE's activations
    later     factor on a decoder's activations, where the networks before it were released
    returned  whether the networks of a stage give back their activations when the next stage begins
    """

    base: int
    graph: tuple[int, int]
    loading: Mapping[str, float]
    heaped: float
    mapped: Mapping[str, float]
    held: Mapping[str, float]
    reread: Mapping[str, float]
    laid_out: Mapping[str, float]
    scores: bool
    unet: Mapping[str, float]
    widened: float
    vae: float
    later: float
    returned: bool


class Row(NamedTuple):
    """One engine.

    path          its class, as module and name
    library       what Python imports, and ``distribution``: what pip installs
    formats       of the network files that it reads, keys of `partway.graphs.FILES`; each also runs what is built
    rates         how much memory it takes on a CPU; None where that was not measured, so that it cannot be limited
    concurrent    whether it runs calls of several threads at the same time, and not one after the other
    """

    path: str
    library: str
    distribution: str
    formats: tuple[str, ...]
    rates: Rates | None = None
    concurrent: bool = False

    @property
    def installed(self) -> bool:
        """Whether the engine's library is there to be imported."""
        return find_spec(self.library) is not None

    @property
    def engine(self) -> EngineClass:
        """The engine's class."""
        module, _, name = self.path.rpartition(".")
        return cast(EngineClass, getattr(import_module(module), name))


ENGINES = {
    "onnxruntime": Row(
        "partway.engines.onnxruntime.OnnxRuntime",
        library="onnxruntime",
        distribution="onnxruntime",
        formats=("onnx",),
        concurrent=True,
        rates=Rates(
            base=86_000_000,
            graph=(10_000_000, 4_000_000),
            loading={"fp32": 1.7, "fp16": 1.7, "int8": 0.42},
            heaped=1.4,
            mapped={"fp32": 1.05, "int8": 0.13},
            held={"fp32": 1.0, "fp16": 1.0, "int8": 0.3},
            reread={"int8": 0.18},
            laid_out={},
            scores=True,
            unet={"fp32": 1.7, "fp16": 1.7, "int8": 1.0},
            widened=36,
            vae=5.5,
            later=1.0,
            returned=False,
        ),
    ),
    "openvino": Row(
        "partway.engines.openvino.OpenVINO",
        library="openvino",
        distribution="openvino",
        formats=("onnx", "openvino"),
        rates=Rates(
            base=132_000_000,
            graph=(28_000_000, 14_000_000),
            loading={"fp32": 1.9, "fp16": 2.05, "int8": 1.4},
            heaped=1.0,
            mapped={"fp32": 1.9},
            held={"fp32": 2.05, "fp16": 2.05, "int8": 1.9},  # as they were read, and as its kernels lay them out
            reread={},
            laid_out={"fp32": 1.03, "fp16": 1.03, "int8": 1.4},
            scores=False,
            unet={"fp32": 2.4, "fp16": 2.4, "int8": 2.4},
            widened=0,
            vae=6.0,
            later=1.5,  # how well its tensors share memory there differs from run to run; this is the worst
            returned=True,
        ),
    ),
}
"""Every engine by the name that users give; "auto" takes the first that reads the model's format."""

FAST = "openvino"
"""The engine that presets take to be fast, and "auto" takes on devices other than CPUs, where it is installed."""


def distributions() -> tuple[str, ...]:
    """The names that pip has of the engines' libraries."""
    return tuple(row.distribution for row in ENGINES.values())
