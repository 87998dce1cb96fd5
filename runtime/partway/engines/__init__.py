"""Engines run networks. Everything else in partway meets them through one method that takes and returns arrays.

`Engine` is the protocol; `open_engine` chooses one by name. An engine owns its device, threads, precision, compiled
shapes and cache, casts inputs to the types of the graph, and turns its library's exceptions into ours.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from partway.engines.weights import Networks
from partway.errors import EngineError, InputError, NetworkError, choose
from partway.support.amounts import amount
from partway.support.keywords import refuse_unknown

ENGINES = ("onnxruntime", "openvino")


class Port(NamedTuple):
    """An input or output: NumPy's name of its type, and its shape with None where any size goes."""

    dtype: str
    shape: tuple[int | None, ...]


class Signature(NamedTuple):
    """What a network takes and gives, by name, in the graph's order."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


class Engine(Protocol):
    """Runs networks by name; loads each on first use. ``batch`` is the largest it takes at once, None for any."""

    batch: int | None

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        ...

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it once; floating-point results are float32. Raises `NetworkError` naming network and remedy."""
        ...

    def release(self, network: str) -> None:
        """Forget a network to free its memory; using it again loads it again."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """Where and how networks run.

    device     "CPU", "GPU", "NPU", or the engine's own name for one
    threads    None leaves the number to the engine
    precision  arithmetic: "fp32" (default: the same pictures everywhere), "bf16", "fp16", or "fastest", the device's
               own choice; ONNX Runtime computes in the precision of the exported graph and takes only "fp32"
    cache_dir  folder for compiled networks (OpenVINO), so that the second start is quick
    cache_limit  the most that they may take there, in bytes or as text like "4GB"; what is used least goes first
    static     compile for the exact sizes of a run (OpenVINO): faster steps, a compilation for each new size
    batch      the largest batch a network is given at once; 1 makes guidance two calls
    stream     whether the UNet runs in segments, each loaded and released at every call (packages cut at export)
    release    whether networks are released between the stages of a run, for less memory and slower runs
    memory_limit  the most memory runs may take, in bytes or as text like "1500MB"; None for no limit
    """

    device: str = "CPU"
    threads: int | None = None
    precision: str | None = None
    cache_dir: str | Path | None = None
    cache_limit: int | str = "4GB"
    static: bool = False
    batch: int | None = None
    stream: bool = False
    release: bool = False
    memory_limit: int | str | None = None

    def __new__(cls, *values: object, **given: object) -> Self:
        """Refuse names that are no options, which Python would call a `TypeError`."""
        refuse_unknown("option", given, cls.__dataclass_fields__, {})
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("threads", "batch"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.threads is not None and self.threads > (os.cpu_count() or 1):
            raise InputError(f"threads must be at most {os.cpu_count()}, this machine's number, not {self.threads}")
        amount("cache_limit", self.cache_limit)
        choose("precision", self.precision or "fp32", ("fp32", "bf16", "fp16", "fastest"))
        if self.limit is not None and self.device.upper() != "CPU":
            raise InputError(f"memory_limit is for device CPU; leave it out for {self.device}")

    @property
    def frugal(self) -> bool:
        """Whether memory counts more than time."""
        return self.release or self.stream or self.limit is not None

    @property
    def cache_bytes(self) -> int:
        """``cache_limit`` in bytes."""
        return amount("cache_limit", self.cache_limit)

    @property
    def limit(self) -> int | None:
        """``memory_limit`` in bytes."""
        return None if self.memory_limit is None else amount("memory_limit", self.memory_limit)


def engine_named(name: str, files: Networks, device: str) -> str:
    """The engine that a name stands for: "auto" takes ONNX Runtime for ONNX on a CPU and OpenVINO otherwise.

    Raises `InputError` for an unknown name.
    """
    choose("engine", name, ("auto", *ENGINES))
    if name != "auto":
        return name
    elsewhere = device.upper() != "CPU" and find_spec("openvino") is not None
    return "openvino" if _openvino(files) or elsewhere else "onnxruntime"


def open_engine(name: str, files: Networks, options: EngineOptions) -> Engine:
    """Open an engine over network files, by a name of `engine_named`.

    Raises `EngineError` when the engine is not installed, cannot read the files' format or lacks the device.
    """
    name = engine_named(name, files, options.device)
    if name == "onnxruntime" and _openvino(files):
        raise EngineError("this model is OpenVINO IR, which onnxruntime cannot read; use engine 'openvino'")
    if name == "openvino":
        from partway.engines.openvino import OpenVINO

        return OpenVINO(files, options)
    from partway.engines.onnxruntime import OnnxRuntime

    return OnnxRuntime(files, options)


def devices() -> list[tuple[str, str, str]]:
    """Every (engine, device, description) that can be used here."""
    found: list[tuple[str, str, str]] = []
    if find_spec("onnxruntime") is not None:
        from partway.engines import onnxruntime

        found += onnxruntime.devices()
    if find_spec("openvino") is not None:
        from partway.engines import openvino

        found += openvino.devices()
    return found


def cast(network: str, inputs: Mapping[str, NDArray[Any]], signature: Signature) -> dict[str, NDArray[Any]]:
    """Inputs in the graph's types; floats that go to integers are rounded. Raises `NetworkError` on a misfit."""
    if set(inputs) != set(signature.inputs):
        raise NetworkError(f"{network} takes {_names(signature.inputs)}, not {_names(inputs)}; export it again")
    ready = {}
    for name, array in inputs.items():
        port = signature.inputs[name]
        fits = array.ndim == len(port.shape) and all(
            want in (None, have) for want, have in zip(port.shape, array.shape, strict=True)
        )
        if not fits:
            wanted = "x".join("?" if size is None else str(size) for size in port.shape) or "a single number"
            given = "x".join(map(str, array.shape)) or "a single number"
            raise NetworkError(f"{network} takes {name} of shape {wanted}, not {given}; change the size or the model")
        integral = np.issubdtype(np.dtype(port.dtype), np.integer)
        if integral and not np.issubdtype(array.dtype, np.integer):
            array = np.rint(array)
        ready[name] = np.asarray(array, dtype=port.dtype, order="C")
    return ready


def as_float32(outputs: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Results by name, floating-point ones as float32."""
    return {
        name: array.astype(np.float32, copy=False) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in outputs
    }


def _openvino(files: Networks) -> bool:
    return any(isinstance(path, Path) and path.suffix == ".xml" for path in files.values())


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
