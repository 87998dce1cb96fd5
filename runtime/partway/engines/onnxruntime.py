"""ONNX Runtime as an engine."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import token_vectors
from partway.engines.external import linked, locations, moved
from partway.engines.failures import out_of_memory
from partway.engines.mapped import Ranges, forget, forgetting, ranges
from partway.engines.options import EngineOptions
from partway.engines.protocol import Port, Signature, as_float32, cast
from partway.engines.weights import Graph, Openable, WithTokenVectors, check, one_file
from partway.errors import EngineError, NetworkError, PackageError
from partway.support import heap

_NAME = "onnxruntime"

# What the common names may stand for, best first.
_PROVIDERS = {
    "CPU": ("CPUExecutionProvider",),
    "GPU": ("CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider", "WebGpuExecutionProvider"),
    "NPU": ("QNNExecutionProvider", "VitisAIExecutionProvider"),
}

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}

_FOLDER = "session.model_external_initializers_file_folder_path"
_FLOAT32 = "1"  # among ONNX Runtime's levels
_opening = Lock()  # of all frugal engines, so that what a session maps can be told from what others do


class _Session(NamedTuple):
    """A session, and what gives back the pages of weights that it has read; None where they are not mapped."""

    session: Any
    forget: Callable[[], None] | None


class OnnxRuntime:
    """Runs ONNX files, each in a session that is made when the network is first used."""

    def __init__(self, files: Mapping[str, Openable], options: EngineOptions) -> None:
        self._library = library()
        if options.precision not in (None, "fp32", "fastest"):
            raise EngineError(
                f"onnxruntime computes in the precision of the exported graph, not {options.precision}; "
                "leave precision out, or use engine 'openvino'"
            )
        self._library.set_default_logger_severity(4)  # errors are raised; the log would say them a second time
        if options.frugal:
            heap.map_large()
        self._files = files
        self._options = options
        self.batch = options.batch
        self._provider = _provider(options.device, self._library.get_available_providers())
        self._sessions: dict[str, _Session] = {}
        self._locks: dict[str, Lock] = {}  # of networks that are opened, each by one thread
        self._signatures: dict[str, Signature] = {}  # kept when a network is released, so that asking does not load it

    @staticmethod
    def devices() -> list[tuple[str, str]]:
        """Every (device, description) that ONNX Runtime offers here."""
        available = library().get_available_providers()
        found: list[tuple[str, str]] = []
        for device, providers in _PROVIDERS.items():
            found += [(device, provider) for provider in providers if provider in available][:1]
        return found

    @staticmethod
    def variants(device: str) -> list[dict[str, Any]]:
        """One without options: precision is that of the exported graph."""
        return [{}]

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        if network not in self._signatures:
            session = self._session(network).session
            inputs = {port.name: _port(port) for port in session.get_inputs()}
            outputs = {port.name: _port(port) for port in session.get_outputs()}
            self._signatures[network] = Signature(inputs, outputs)
        return self._signatures[network]

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; raises `NetworkError` if it fails."""
        session, forget_weights = self._session(network)
        ready = cast(network, inputs, self.signature(network))
        names = [port.name for port in session.get_outputs()]
        try:
            with forgetting(forget_weights):
                outputs = session.run(names, ready)
        except Exception as error:  # the library raises a type of its own for every status, and plain RuntimeError
            raise out_of_memory(network, _NAME, error) or NetworkError(
                f"{network} failed in onnxruntime: {_first_line(error)}"
            ) from error
        # Copies: what the session gives lies in its arena, and keeps all of that from being freed on release.
        return as_float32((name, np.array(array)) for name, array in zip(names, outputs, strict=True))

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        if self._sessions.pop(network, None) is not None:
            heap.trim()  # its weights lie in the C heap, which keeps them otherwise

    def _session(self, network: str) -> _Session:
        if network not in self._sessions:
            frugal = self._options.frugal
            with _opening if frugal else self._locks.setdefault(network, Lock()):
                if network not in self._sessions:
                    self._sessions[network] = (self._open_frugally if frugal else self._open)(network)
                return self._sessions[network]
        return self._sessions[network]

    def _open(self, network: str) -> _Session:
        source, options = self._files[network], self._session_options()
        inner = source.source if isinstance(source, WithTokenVectors) else source
        model = _stored(inner, options) if isinstance(inner, Path) else self._built(inner, options)
        try:
            model = _with_vectors(model, options) if isinstance(source, WithTokenVectors) else model
            session = self._library.InferenceSession(model, options, providers=[self._provider])
        except PackageError:
            raise
        except Exception as error:
            what, remedy = (inner, "export") if isinstance(inner, Path) else (network, "download")
            raise out_of_memory(network, _NAME, error) or PackageError(
                f"{what} cannot be loaded ({_first_line(error)}); {remedy} it again"
            ) from error
        if self._provider not in session.get_providers():
            raise EngineError(f"onnxruntime could not start {self._provider} for {network}; try device CPU")
        heap.trim()  # the file as it was read, and weights before they were packed
        return _Session(session, None)

    def _open_frugally(self, network: str) -> _Session:
        """A session whose pages of mapped weights can be given back."""
        source = self._files[network]
        weights = _weights(source.source if isinstance(source, WithTokenVectors) else source)
        if weights is None:
            return self._open(network)
        before = ranges(weights)
        session, _ = self._open(network)
        own = _apart(ranges(weights), before)
        return _Session(session, partial(forget, own) if own else None)

    def _built(self, graph: Graph, options: Any) -> bytes:
        """What a session of a network that is built here, or changed, is made of, and ``options`` set for it."""
        check(graph)
        # The level above lays out convolutions' weights anew: much more memory while it loads, and no quicker calls.
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        if graph.exported is not None:
            return _located(graph.with_files(), graph.exported, options)
        if (weights := one_file(graph)) is not None:
            options.add_session_config_entry(_FOLDER, str(weights.parent))
        return graph.with_files()

    def _session_options(self) -> Any:
        options = self._library.SessionOptions()
        if self._options.threads:
            options.intra_op_num_threads = self._options.threads
        # A pattern is one more block for all activations, planned from the first run and taken beside what that run
        # left in the arena: the second run would double the memory, and be no faster.
        options.enable_mem_pattern = False
        if self._options.precision != "fastest":  # else products with weights of 8 bits round what they multiply
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", _FLOAT32)
        return options


def library() -> Any:
    """ONNX Runtime, without its telemetry: it would keep an identifier in the home folder and send events.

    Who wants it sets ORT_DISABLE_TELEMETRY=0 before. Raises `EngineError` if the library is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library loads
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("ONNX Runtime is not installed; run: pip install onnxruntime") from error
    return onnxruntime


def _stored(graph: Path, options: Any) -> bytes | str:
    """What a session of a file is made of: weights that are links to elsewhere are named where they really lie."""
    with suppress(OSError, ValueError, LookupError, PackageError):  # loading it says what is wrong
        if linked(graph):
            return _located(graph.read_bytes(), graph, options)
    return str(graph)


def _with_vectors(model: bytes | str, options: Any) -> bytes:
    """What a session of a text encoder that takes vectors too is made of; raises as `token_vectors.onnx_file` does."""
    if isinstance(model, bytes):
        return token_vectors.onnx_model(model)
    made, folder = token_vectors.onnx_file(Path(model))
    options.add_session_config_entry(_FOLDER, str(folder))
    return made


def _located(message: bytes, graph: Path, options: Any) -> bytes:
    """The model of a file's graph with its weights named where they really lie, in a folder that ``options`` name."""
    real = {name: (graph.parent / name).resolve() for name in locations(graph)}
    folders = {file.parent for file in real.values()}
    if len(folders) > 1:
        raise PackageError(f"{graph} has weights in several folders; put them into one")
    options.add_session_config_entry(_FOLDER, str(next(iter(folders), graph.parent.resolve())))
    return moved(message, lambda places: {**places, "location": real[places["location"]].name})


def _weights(source: Path | Graph) -> Path | None:
    """The file of a network's weights, or one of them; None where all are computed."""
    if isinstance(source, Path):
        return _beside(source)
    return one_file(source) if source.exported is None else _beside(source.exported)


def _beside(graph: Path) -> Path:
    """The file of a graph's weights, or one of them; that of the graph where it holds them itself."""
    with suppress(OSError, ValueError):  # as above
        return next((graph.parent / name for name in sorted(locations(graph))), graph)
    return graph


def _port(port: Any) -> Port:
    if port.type not in _TYPES:
        raise NetworkError(f"input or output {port.name} has type {port.type}, which partway does not know")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in port.shape)
    return Port(_TYPES[port.type], shape)


def _provider(device: str, available: list[str]) -> str:
    """The execution provider for a device name; providers' own names are taken too."""
    wanted = _PROVIDERS.get(device.upper(), (device,))
    for provider in wanted:
        if provider in available:
            return provider
    names = ", ".join(name for name, providers in _PROVIDERS.items() if any(p in available for p in providers))
    raise EngineError(f"onnxruntime has no device {device!r} here; it has: {names}")


def _apart(places: Ranges, others: Ranges) -> Ranges:
    """Those of the address ranges that overlap none of the others."""
    return frozenset(place for place in places if all(place[1] <= start or end <= place[0] for start, end in others))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
