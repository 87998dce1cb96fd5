"""OpenVINO as an engine; reads IR and ONNX."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import addressed
from partway.engines.compiled import Compiled
from partway.engines.failures import out_of_memory
from partway.engines.frugal import stage
from partway.engines.grafted import grafted
from partway.engines.mapped import Mapped, forgetting
from partway.engines.options import EngineOptions
from partway.engines.protocol import Port, Signature, as_float32, cast
from partway.engines.rewrites import Adapter, Alike, find_alike, rewrite
from partway.engines.rewrites.vectors import take_vectors
from partway.engines.weights import Graph, Openable, WithTokenVectors, check
from partway.errors import EngineError, NetworkError, PackageError, PartwayError, install
from partway.graphs import is_port
from partway.support.caching import Recent
from partway.support.machine import cores

_NAME = "openvino"
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_TYPES = {"f32": "float32", "f16": "float16", "f64": "float64", "i64": "int64", "i32": "int32", "boolean": "bool"}

_KEPT = 2  # sizes of one network that stay compiled
_UNWRITTEN = np.finfo(np.float32).max  # a number that no network gives

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class _Read(NamedTuple):
    """A network that is not compiled yet, and the files that its weights lie in where they are mapped."""

    model: Any
    weights: Sequence[Mapped] = ()

    @property
    def forget(self) -> Callable[[], None] | None:
        """Gives back what was read of its weights; None where they are not mapped."""
        return partial(_forget, self.weights) if self.weights else None


class _Sizes(NamedTuple):
    """What a network is compiled for: its inputs' shapes, none for any; and the input whose batch repeats, if any."""

    shapes: Shapes = ()
    alike: Alike | None = None


class _Compiled:
    """A network that can run. ``read`` has the files that it may go on using.

    names: of its results, in order; once compiled they may also be called like an operator
    alone: whether it computes in one thread
    """

    def __init__(self, request: Any, adapter: Adapter, read: _Read, names: Sequence[str], *, alone: bool) -> None:
        self.request, self.adapter, self._read, self._names, self._alone = request, adapter, read, names, alone
        self._first = True

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
        """The results by name, as copies; raises `RuntimeError` or `MemoryError`."""
        first, self._first = self._first, False  # in its first call a network that takes any size lays out its weights
        with forgetting(self._read.forget if first else None):
            inputs = self.adapter(inputs)
            results = self.request.infer(inputs, share_inputs=True)
        found = list(zip(self._names, map(np.array, results.values()), strict=True))
        if self._alone:
            self._check(found[0][1], inputs)
        return found

    def _check(self, result: NDArray[Any], inputs: Mapping[str, NDArray[Any]]) -> None:
        """Raise `MemoryError` if the first result was not written in this call.

        Where memory for activations runs out in one thread, OpenVINO returns what was there before, without an error.
        """
        if result.dtype == np.float32:
            if not result.size or result.flat[0] == _UNWRITTEN:
                raise MemoryError
            output = self.request.get_output_tensor(0).data
            if not any(np.may_share_memory(output, array) for array in inputs.values()):  # one passed through
                output.flat[0] = _UNWRITTEN


class OpenVINO:
    """Runs OpenVINO IR or ONNX files, compiled on first use; with ``static``, once for each size that is run."""

    def __init__(self, files: Mapping[str, Openable], options: EngineOptions) -> None:
        self._library = library()
        self._core = self._library.Core()
        self._device = _device(options.device, self._core.available_devices)
        # An NPU compiles fixed shapes only, and one picture at a time keeps them small.
        npu = self._device.split(".")[0] == "NPU"
        self._static = options.static or npu
        self.batch = options.batch or (1 if npu else None)
        self._properties = _properties(options)
        self._cache: Compiled | None = None
        if options.cache_dir:
            self._cache = Compiled(options.cache_dir, options.cache_bytes, _made_by(self._core, self._device))
        self._files = files
        self._options = options
        self._lock = RLock()  # a compiled network runs once at a time, and its results lie in its own memory
        self._reading: dict[str, RLock] = {}  # of networks, each of which is read by one thread
        self._models: dict[str, _Read] = {}
        self._signatures: dict[str, Signature] = {}
        self._compiled: dict[str, Recent[_Sizes, _Compiled]] = {}
        self._stage: tuple[str, ...] = ()

    @staticmethod
    def devices() -> list[tuple[str, str]]:
        """Every (device, description) that OpenVINO offers here."""
        core = library().Core()
        return [(name, str(core.get_property(name, "FULL_DEVICE_NAME"))) for name in core.available_devices]

    @staticmethod
    def variants(device: str) -> list[dict[str, Any]]:
        """Each precision that the device computes in and does not only emulate, for any size and for fixed ones."""
        can = library().Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
        precisions = [name for name in _PRECISIONS if name.upper() in can] or ["fastest"]
        return [{"precision": name, **static} for name in precisions for static in ({}, {"static": True})]

    def signature(self, network: str) -> Signature:
        """What the network takes and gives; it is read for that."""
        with self._reading.setdefault(network, RLock()):
            if network not in self._signatures:
                read = self._models[network] = self._read(network)
                inputs, outputs = (
                    {_name(port): _port(port) for port in ports} for ports in (read.model.inputs, read.model.outputs)
                )
                self._signatures[network] = Signature(inputs, outputs)
            return self._signatures[network]

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; raises `NetworkError` if it fails."""
        ready = cast(network, inputs, self.signature(network))
        with self._lock:
            self._enter(network)
            compiled = self._prepared(network, ready)
            try:
                return as_float32(compiled.infer(ready))
            except (RuntimeError, MemoryError) as error:
                raise out_of_memory(network, _NAME, error) or NetworkError(
                    f"{network} failed in openvino: {_last_line(error)}"
                ) from error

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
        """The network compiled for these inputs, kept from an earlier call or made now."""
        sizes = _Sizes()
        if self._static:
            shapes = tuple((name, array.shape) for name, array in inputs.items())
            sizes = _Sizes(shapes, find_alike(inputs) if self._device == "CPU" else None)
        kept = self._compiled.setdefault(network, Recent(_KEPT))
        return kept.get(sizes, lambda: self._compile(network, sizes))

    def _compile(self, network: str, sizes: _Sizes) -> _Compiled:
        read = self._models.pop(network) if network in self._models else self._read(network)
        model, names = read.model, [_name(port) for port in read.model.outputs]
        place = self._cache and self._cache.place(self._files[network], (*sizes, self._properties))
        properties = self._properties | ({"CACHE_DIR": str(place)} if place else {})
        try:
            if sizes.shapes:
                model.reshape(dict(sizes.shapes))
            model, adapter = self._rewritten(model, sizes.alike)
            with forgetting(read.forget):
                compiled = self._core.compile_model(model, self._device, properties)
                request = compiled.create_infer_request()
        except (RuntimeError, MemoryError) as error:
            raise self._refusal(network, error) from error
        if self._cache and place:
            self._cache.used(place)
        alone = self._device == "CPU" and compiled.get_property("INFERENCE_NUM_THREADS") == 1
        return _Compiled(request, adapter, read, names, alone=alone)

    def _rewritten(self, model: Any, alike: Alike | None) -> tuple[Any, Adapter]:
        exact = self._properties.get("INFERENCE_PRECISION_HINT") == _PRECISIONS["fp32"]
        cpu = self._device == "CPU"
        return rewrite(self._core, model, alike=alike, cpu=cpu, exact=exact, tiled=cpu and self._tiled())

    def _tiled(self) -> bool:
        """Whether convolutions are made in tiles, which are exact enough in float32 alone."""
        said = self._properties.get("INFERENCE_PRECISION_HINT")
        precision = said or self._core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
        return self._options.tiled and precision == _PRECISIONS["fp32"]

    def _refusal(self, network: str, error: Exception) -> PartwayError:
        """What to raise when a network cannot be compiled."""
        remedy = "export it again" if self._device == "CPU" else "try device CPU"
        said = f"{network} cannot be compiled for {self._device}: {_last_line(error)}; {remedy}"
        return out_of_memory(network, _NAME, error) or EngineError(said)

    def _read(self, network: str) -> _Read:
        source = self._files[network]
        if not isinstance(source, WithTokenVectors):
            return self._read_as_it_is(network, source)
        read = self._read_as_it_is(network, source.source)
        take_vectors(read.model)
        return read

    def _read_as_it_is(self, network: str, path: Path | Graph) -> _Read:
        if not isinstance(path, Path):
            return self._graft(network, path)
        beside = path.with_suffix(".bin")
        try:
            if path.suffix != ".xml":
                return _Read(*addressed.read(self._core, path))
            if not beside.is_file() or not beside.stat().st_size:
                return _Read(self._core.read_model(str(path)))
            weights = Mapped(beside)
            tensor = self._library.Tensor(weights.bytes, shared_memory=True)
            return _Read(self._core.read_model(path.read_text("utf-8"), tensor), [weights])
        except (RuntimeError, MemoryError, OSError, ValueError) as error:  # also of text that is no UTF-8
            raise out_of_memory(network, _NAME, error) or PackageError(
                f"{path} cannot be loaded ({_last_line(error)}); export it again"
            ) from error

    def _graft(self, network: str, graph: Graph) -> _Read:
        check(graph)
        try:
            return _Read(*grafted(self._core, graph))
        except (RuntimeError, MemoryError, OSError) as error:
            raise out_of_memory(network, _NAME, error) or PackageError(
                f"{network} cannot be loaded ({_last_line(error)}); download it again"
            ) from error


def _forget(files: Sequence[Mapped]) -> None:
    for file in files:
        file.forget()


def library() -> Any:
    """OpenVINO, without its telemetry: importing it would keep an identifier in the home folder and send an event.

    Who wants it imports openvino before. Raises `EngineError` if the library is not installed.
    """
    try:
        # OpenVINO can do without both, and the second, its converter, takes half of the time that importing it takes.
        with missing("openvino_telemetry"), missing("openvino.tools.ovc"):
            import openvino
    except ImportError as error:
        raise EngineError(f"OpenVINO is not installed; {install('openvino')}") from error
    vars(openvino).setdefault("__getattr__", _converter)
    return openvino


def _converter(name: str) -> Any:
    """What `openvino` has of its converter, for others in this process that ask for it."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    with missing("openvino_telemetry"):
        from openvino.tools.ovc import convert_model
    return convert_model


@contextmanager
def missing(module: str) -> Iterator[None]:
    """Let a module look as if it were not installed meanwhile, unless it is in use already."""
    modules: dict[str, Any] = sys.modules
    if module in modules:
        yield
        return
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]


def _port(port: Any) -> Port:
    kind = port.element_type.get_type_name()
    if kind not in _TYPES:
        raise NetworkError(f"input or output {_name(port)} has type {kind}, which partway does not know")
    shape = tuple(None if size.is_dynamic else size.get_length() for size in port.partial_shape)
    return Port(_TYPES[kind], shape)


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
        # Else all engines of a process that have few threads compute on the same first cores.
        if options.device.upper() == "CPU" and options.threads < cores():
            properties["ENABLE_CPU_PINNING"] = False
    return properties


def _made_by(core: Any, device: str) -> list[str]:
    """What a compiled network is good for: OpenVINO's version, the device's name, and its driver's where it has one."""
    version = next(iter(core.get_versions(device).values())).build_number
    drivers = [name for name in core.get_property(device, "SUPPORTED_PROPERTIES") if name.endswith("DRIVER_VERSION")]
    return [version, *(str(core.get_property(device, name)) for name in ("FULL_DEVICE_NAME", *drivers))]


def _name(port: Any) -> str:
    """One of its names: that which networks have for it, where an exporter left others too."""
    return str(next(filter(is_port, sorted(port.get_names())), None) or port.get_any_name())


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
