"""OpenVINO as an engine; reads IR and ONNX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import EngineOptions, Port, Signature, as_float32, cast, shared
from partway.engines.compiled import Compiled
from partway.engines.frugal import stage
from partway.engines.grafted import grafted
from partway.engines.mapped import Mapped, forgetting
from partway.engines.phases import split_enlarged
from partway.engines.shared import Alike
from partway.engines.waves import Waves, take_out
from partway.engines.weights import Graph, Networks, check
from partway.errors import EngineError, NetworkError, PackageError, install
from partway.support.caching import Recent

_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_TYPES = {"f32": "float32", "f16": "float16", "f64": "float64", "i64": "int64", "i32": "int32", "boolean": "bool"}

_KEPT = 2  # sizes of one network that stay compiled

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class _Read(NamedTuple):
    """A network that is not compiled yet, and the files that its weights lie in where they are mapped."""

    model: Any
    weights: Sequence[Mapped] = ()

    def forget(self) -> None:
        """Give back what was read of its weights."""
        for file in self.weights:
            file.forget()


class _Compiled:
    """A network that can run; ``read`` has the files that it may go on using."""

    def __init__(self, request: Any, alike: Alike | None, waves: Waves | None, read: _Read) -> None:
        self.request = request
        self.alike, self._waves, self._read = alike, waves, read
        self._fresh = True

    def infer(self, inputs: dict[str, NDArray[Any]]) -> Any:
        if self.alike is not None:
            inputs = self.alike.once(inputs)
        if self._waves is not None:
            inputs = self._waves.beside(inputs)
        fresh, self._fresh = self._fresh, False  # weights of networks that take any size are laid out in the first call
        with forgetting(self._read.forget if fresh and self._read.weights else None):
            return self.request.infer(inputs, share_inputs=True)


class OpenVINO:
    """Runs OpenVINO IR or ONNX files, compiled on first use; with ``static``, once for each size that is run."""

    def __init__(self, files: Networks, options: EngineOptions) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError(f"OpenVINO is not installed; {install('openvino')}") from error
        self._library = openvino
        self._core = openvino.Core()
        self._device = _device(options.device, self._core.available_devices)
        # An NPU compiles fixed shapes only, and one picture at a time keeps them small.
        npu = self._device.split(".")[0] == "NPU"
        self._static = options.static or npu
        self.batch = options.batch or (1 if npu else None)
        self._properties = _properties(options)
        self._float32 = self._properties.get("INFERENCE_PRECISION_HINT") == "f32"
        self._cache: Compiled | None = None
        if options.cache_dir:
            self._cache = Compiled(options.cache_dir, options.cache_bytes, _made_by(self._core, self._device))
        self._files = files
        self._lock = RLock()  # a compiled network runs once at a time, and its results lie in its own memory
        self._models: dict[str, _Read] = {}
        self._signatures: dict[str, Signature] = {}
        self._compiled: dict[str, Recent[tuple[Shapes, Alike | None], _Compiled]] = {}
        self._stage: tuple[str, ...] = ()

    def signature(self, network: str) -> Signature:
        """What the network takes and gives."""
        with self._lock:
            if network not in self._signatures:
                read = self._models[network] = self._read(network)
                model = read.model
                inputs = {_name(port): self._port(port) for port in model.inputs}
                self._signatures[network] = Signature(inputs, {_name(port): self._port(port) for port in model.outputs})
            return self._signatures[network]

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; raises `NetworkError` if it fails."""
        ready = cast(network, inputs, self.signature(network))
        with self._lock:
            self._enter(network)
            compiled = self._prepared(network, ready)
            try:
                results = compiled.infer(ready)
            except RuntimeError as error:
                raise NetworkError(f"{network} failed in openvino: {_last_line(error)}") from error
            # By the names that they were read with: compiled, an output may also be called like an operator.
            arrays = map(np.array, results.values())
            return as_float32(zip(self.signature(network).outputs, arrays, strict=True))

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        with self._lock:
            self._models.pop(network, None)
            self._compiled.pop(network, None)

    def _enter(self, network: str) -> None:
        """Give back what the networks of the stage before this one worked with; their weights stay."""
        if network not in self._stage:
            for name in self._stage:
                for compiled in self._compiled[name].values() if name in self._compiled else ():
                    compiled.request.get_compiled_model().release_memory()
            self._stage = stage(network)

    def _prepared(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> _Compiled:
        shapes: Shapes = tuple((name, array.shape) for name, array in inputs.items()) if self._static else ()
        alike = shared.found(inputs) if shapes and self._device == "CPU" else None
        kept = self._compiled.setdefault(network, Recent(_KEPT))
        return kept.get((shapes, alike), lambda: self._compile(network, shapes, alike))

    def _compile(self, network: str, shapes: Shapes, alike: Alike | None) -> _Compiled:
        read = self._models.pop(network) if network in self._models else self._read(network)
        model = read.model
        properties = dict(self._properties)
        place = self._cache and self._cache.place(self._files[network], (shapes, alike, properties))
        if place:
            properties["CACHE_DIR"] = str(place)
        try:
            if shapes:
                model.reshape(dict(shapes))
            sharing = None if alike is None else shared.share(model, *alike)
            model, alike = (model, None) if sharing is None else (sharing, alike)
            if self._device == "CPU":
                split_enlarged(model)
            model, beside = (model, None) if self._float32 else take_out(model)
            waves = None if beside is None else Waves(self._core, beside, model)
            with forgetting(read.forget if read.weights else None):
                request = self._core.compile_model(model, self._device, properties).create_infer_request()
        except RuntimeError as error:
            remedy = "export it again" if self._device == "CPU" else "try device CPU"
            raise EngineError(
                f"{network} cannot be compiled for {self._device}: {_last_line(error)}; {remedy}"
            ) from error
        if self._cache and place:
            self._cache.used(place)
        return _Compiled(request, alike, waves, read)

    def _read(self, network: str) -> _Read:
        path = self._files[network]
        if not isinstance(path, Path):
            return self._graft(network, path)
        beside = path.with_suffix(".bin")
        try:
            if path.suffix != ".xml" or not beside.is_file() or not beside.stat().st_size:
                return _Read(self._core.read_model(str(path)))
            weights = Mapped(beside)
            tensor = self._library.Tensor(weights.bytes, shared_memory=True)
            return _Read(self._core.read_model(path.read_text("utf-8"), tensor), [weights])
        except (RuntimeError, OSError, UnicodeDecodeError) as error:
            raise PackageError(f"{path} cannot be loaded ({_last_line(error)}); export it again") from error

    def _graft(self, network: str, graph: Graph) -> _Read:
        check(graph)
        try:
            return _Read(*grafted(self._core, graph))
        except (RuntimeError, OSError) as error:
            raise PackageError(f"{network} cannot be loaded ({_last_line(error)})") from error

    def _port(self, port: Any) -> Port:
        kind = port.element_type.get_type_name()
        if kind not in _TYPES:
            raise NetworkError(f"input or output {_name(port)} has type {kind}, which partway does not know")
        shape = tuple(None if size.is_dynamic else size.get_length() for size in port.partial_shape)
        return Port(_TYPES[kind], shape)


def devices() -> list[tuple[str, str, str]]:
    """Every (engine, device, description) that OpenVINO offers here."""
    import openvino

    core = openvino.Core()
    return [("openvino", name, str(core.get_property(name, "FULL_DEVICE_NAME"))) for name in core.available_devices]


def precisions(device: str) -> list[str]:
    """Those of partway's precisions that the device computes in, and not only emulates; "fp32" first."""
    import openvino

    can = openvino.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    return [name for name in _PRECISIONS if name.upper() in can] or ["fastest"]


def _device(name: str, available: list[str]) -> str:
    name = name.upper()
    if not any(have == name or have.split(".")[0] == name for have in available):
        raise EngineError(f"openvino has no device {name!r} here; it has: {', '.join(available)}")
    return name


def _properties(options: EngineOptions) -> dict[str, Any]:
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    precision = options.precision or "fp32"
    if precision != "fastest":
        properties["INFERENCE_PRECISION_HINT"] = _PRECISIONS[precision]
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0  # else what weights of 8 bits multiply is rounded to 8 too
    if options.threads:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    return properties


def _made_by(core: Any, device: str) -> list[str]:
    """What a compiled network is good for: OpenVINO's version, the device's name, and its driver's where it has one."""
    version = next(iter(core.get_versions(device).values())).build_number
    drivers = [name for name in core.get_property(device, "SUPPORTED_PROPERTIES") if name.endswith("DRIVER_VERSION")]
    return [version, *(str(core.get_property(device, name)) for name in ("FULL_DEVICE_NAME", *drivers))]


def _name(port: Any) -> str:
    return str(port.get_any_name())


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
