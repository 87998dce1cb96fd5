"""Engines run networks. Everything else in partway meets them through one method that takes and returns arrays.

It may import `partway.support` and the ground.
Start with `protocol`, what an engine does, and `table`, which engines there are. An engine (`onnxruntime`, `openvino`)
owns its device, threads, precision and compiled shapes, casts inputs to the types of the graph, and turns its library's
exceptions into ours. `timed`, `frugal` and `streamed` wrap an engine; `rewrites` changes OpenVINO's graphs.
"""

from collections.abc import Mapping
from pathlib import Path

from partway.engines.options import EngineOptions
from partway.engines.protocol import Engine, Port, Signature, as_float32, cast
from partway.engines.table import ENGINES, FAST
from partway.engines.weights import Openable, WithTokenVectors
from partway.errors import EngineError, choose
from partway.graphs import FILES, FORMATS

__all__ = [
    "ENGINES",
    "Engine",
    "EngineOptions",
    "Port",
    "Signature",
    "as_float32",
    "cast",
    "devices",
    "engine_named",
    "open_engine",
]


def engine_named(name: str, files: Mapping[str, Openable], device: str) -> str:
    """The engine that a name stands for: "auto" takes ONNX Runtime for ONNX on a CPU and OpenVINO otherwise.

    Raises `InputError` for an unknown name, and `EngineError` for an engine that cannot read the files' format.
    """
    choose("engine", name, ("auto", *ENGINES))
    sources = [one.source if isinstance(one, WithTokenVectors) else one for one in files.values()]
    suffixes = {path.suffix for path in sources if isinstance(path, Path)}
    formats = [one for one, file in FILES.items() if Path(file).suffix in suffixes]  # folders may hold both
    readers = [one for one, row in ENGINES.items() if set(formats) <= set(row.formats)]
    if name == "auto":
        elsewhere = device.upper() != "CPU" and FAST in readers and ENGINES[FAST].installed
        return FAST if elsewhere else readers[0]
    if name not in readers:
        held = next(FORMATS[one] for one in formats if one not in ENGINES[name].formats)
        raise EngineError(f"this model is {held}, which {name} cannot read; use engine {readers[0]!r}")
    return name


def open_engine(name: str, files: Mapping[str, Openable], options: EngineOptions) -> Engine:
    """Open an engine over network files, by a name of `engine_named`.

    Raises `EngineError` when the engine is not installed, cannot read the files' format or lacks the device.
    """
    return ENGINES[engine_named(name, files, options.device)].engine(files, options)


def devices() -> list[tuple[str, str, str]]:
    """Every (engine, device, description) that can be used here."""
    installed = {name: row.engine for name, row in ENGINES.items() if row.installed}
    return [(name, *found) for name, engine in installed.items() for found in engine.devices()]
