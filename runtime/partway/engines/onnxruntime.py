"""ONNX Runtime as an engine."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import EngineOptions, Port, Signature, as_float32, cast
from partway.engines.mapped import forget, forgetting, ranges
from partway.engines.weights import Networks, check
from partway.errors import EngineError, NetworkError, PackageError
from partway.support import heap

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

_WEIGHTS = "model.onnx_data"  # the file that they lie in where they are too large for the graph's
_FOLDER = "session.model_external_initializers_file_folder_path"
_FLOAT32 = "1"  # among ONNX Runtime's levels
_opening = Lock()  # of all engines, so that what a session maps can be told from what others do


class _Session(NamedTuple):
    """A session, and what gives back the weights that it has read from their file where memory counts."""

    session: Any
    forget: Callable[[], None] | None


class OnnxRuntime:
    """Runs ONNX files, each in a session that is made when the network is first used."""

    def __init__(self, files: Networks, options: EngineOptions) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError("ONNX Runtime is not installed; run: pip install onnxruntime") from error
        if options.precision not in (None, "fp32", "fastest"):
            raise EngineError(
                f"onnxruntime computes in the precision of the exported graph, not {options.precision}; "
                "leave precision out, or use engine 'openvino'"
            )
        onnxruntime.set_default_logger_severity(4)  # what goes wrong is raised; the log would say it a second time
        if options.frugal:
            heap.map_large()
        self._library = onnxruntime
        self._files = files
        self._options = options
        self.batch = options.batch
        self._provider = _provider(options.device, onnxruntime.get_available_providers())
        self._sessions: dict[str, _Session] = {}
        self._signatures: dict[str, Signature] = {}  # kept when a network is released, so that asking does not load it

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        if network not in self._signatures:
            session = self._session(network).session
            inputs = {port.name: self._port(port) for port in session.get_inputs()}
            outputs = {port.name: self._port(port) for port in session.get_outputs()}
            self._signatures[network] = Signature(inputs, outputs)
        return self._signatures[network]

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; raises `NetworkError` if it fails."""
        session, given_back = self._session(network)
        ready = cast(network, inputs, self.signature(network))
        names = [port.name for port in session.get_outputs()]
        try:
            with forgetting(given_back):
                outputs = session.run(names, ready)
        except Exception as error:  # the library raises a type of its own for every status, and plain RuntimeError
            raise NetworkError(f"{network} failed in onnxruntime: {_first_line(error)}") from error
        # Copies: what the session gives lies in its arena, and keeps all of that from being freed on release.
        return as_float32((name, np.array(array)) for name, array in zip(names, outputs, strict=True))

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        if self._sessions.pop(network, None) is not None:
            heap.trim()  # its weights lie in the C heap, which keeps them otherwise

    def _session(self, network: str) -> _Session:
        with _opening:
            if network not in self._sessions:
                self._sessions[network] = self._open(network)
            return self._sessions[network]

    def _open(self, network: str) -> _Session:
        options = self._library.SessionOptions()
        if self._options.threads:
            options.intra_op_num_threads = self._options.threads
        # A pattern is one more block for all activations, planned from the first run and taken beside what that run
        # left in the arena: the second run would double the memory, and be no faster.
        options.enable_mem_pattern = False
        if self._options.precision != "fastest":  # else products with weights of 8 bits round what they multiply
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", _FLOAT32)
        model, weights = self._model(network, options)
        before = ranges(weights) if self._options.frugal else frozenset()
        try:
            session = self._library.InferenceSession(model, options, providers=[self._provider])
        except Exception as error:
            what = model if isinstance(model, str) else f"{network} of {weights}"
            raise PackageError(f"{what} cannot be loaded ({_first_line(error)}); export it again") from error
        if self._provider not in session.get_providers():
            raise EngineError(f"onnxruntime could not start {self._provider} for {network}; try device CPU")
        heap.trim()  # the file as it was read, and weights before they were packed
        if not self._options.frugal:
            return _Session(session, None)
        own = [place for place in ranges(weights) if all(place[1] <= a or b <= place[0] for a, b in before)]
        return _Session(session, partial(forget, frozenset(own)) if own else None)

    def _model(self, network: str, options: Any) -> tuple[str | bytes, Path]:
        """What a session is made of, and the file of its weights."""
        source = self._files[network]
        if isinstance(source, Path):
            return str(source), source.with_name(_WEIGHTS)
        check(source)
        (weights,) = {weight.source.path for weight in source.weights.values()}
        options.add_session_config_entry(_FOLDER, str(weights.parent))
        # The level above lays out convolutions' weights anew: much more memory while it loads, and no quicker calls.
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        return source.with_files(), weights

    def _port(self, port: Any) -> Port:
        if port.type not in _TYPES:
            raise NetworkError(f"input or output {port.name} has type {port.type}, which partway does not know")
        shape = tuple(size if isinstance(size, int) and size > 0 else None for size in port.shape)
        return Port(_TYPES[port.type], shape)


def devices() -> list[tuple[str, str, str]]:
    """Every (engine, device, description) that ONNX Runtime offers here."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    found = []
    for device, providers in _PROVIDERS.items():
        found += [("onnxruntime", device, provider) for provider in providers if provider in available][:1]
    return found


def _provider(device: str, available: list[str]) -> str:
    """The execution provider for a device name; providers' own names are taken too."""
    wanted = _PROVIDERS.get(device.upper(), (device,))
    for provider in wanted:
        if provider in available:
            return provider
    names = ", ".join(name for name, providers in _PROVIDERS.items() if any(p in available for p in providers))
    raise EngineError(f"onnxruntime has no device {device!r} here; it has: {names}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
