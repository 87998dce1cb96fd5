"""A network that was written here, or changed, as an OpenVINO model whose weights are mapped from their files.

OpenVINO reads external data of ONNX models from a few places only, and would widen weights of 16 bits to float32 where
an ONNX graph casts them. Its own format can hold a constant that is a range of any file's bytes, and a conversion that
it keeps as it is. So the graph is read with weights as inputs, and a second model, of constants alone, takes their
place.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.sax.saxutils import quoteattr

from partway.engines import addressed
from partway.engines.mapped import Mapped
from partway.engines.weights import Change, Graph, Source, Weight
from partway.support.machine import cores

_TYPES = {
    "F32": ("f32", "FP32"), "F16": ("f16", "FP16"), "BF16": ("bf16", "BF16"),
    "F8_E4M3": ("f8e4m3", "F8E4M3"), "F8_E5M2": ("f8e5m2", "F8E5M2"),
}  # fmt: skip
_INPUTS = {"F32": "f32", "I64": "i64"}
_KEPT = '<rt_info><attribute name="decompression" version="0"/></rt_info>'


def grafted(core: Any, graph: Graph) -> tuple[Any, list[Mapped]]:
    """The model, and the files that have to stay mapped for as long as it or what is compiled from it lives.

    Raises RuntimeError and OSError, as OpenVINO and files do.
    """
    model, mapped = _opened(core, graph)
    files: dict[Source, dict[str, Weight]] = {}
    for name, weight in graph.weights.items():
        files.setdefault(weight.source, {})[name] = weight
    sources: dict[str, Any] = {}
    for source, weights in files.items():
        mapped.append(Mapped(source.path))
        sources |= _constants(core, weights, mapped[-1])
    with ThreadPoolExecutor(cores()) as pool:  # NumPy computes without Python's lock
        made = pool.map(Change.values, graph.changes.values())
        sources |= zip(graph.changes, map(_constant, made), strict=True)
    for parameter in list(model.get_parameters()):
        name = parameter.get_friendly_name()
        if name in sources:
            parameter.output(0).replace(sources[name])
            model.remove_parameter(parameter)
    if graph.exported is None:
        model.add_parameters(_unused(model, graph))
        for port, name in zip(model.outputs, graph.outputs, strict=True):
            port.set_names({name})  # and not what the operator that it comes from is called
    model.validate_nodes_and_infer_types()
    return model, mapped


def _opened(core: Any, graph: Graph) -> tuple[Any, list[Mapped]]:
    """The model with weights as inputs, and the files in which an exported one has those that stay as they are."""
    from openvino import Tensor

    message = graph.with_inputs()
    if graph.exported is None:
        return core.read_model(message), []
    if graph.exported.suffix != ".xml":
        return addressed.built(core, message, graph.exported.parent)
    beside = Mapped(graph.exported.with_suffix(".bin"))
    return core.read_model(message.decode(), Tensor(beside.bytes, shared_memory=True)), [beside]


def _constant(array: Any) -> Any:
    """The output of a constant that holds a copy of the numbers."""
    from openvino import op

    return op.Constant(array, shared_memory=False).output(0)


def _unused(model: Any, graph: Graph) -> list[Any]:
    """Inputs that the network takes and has no use for, which OpenVINO leaves out where it reads ONNX."""
    from openvino import PartialShape, Type, op

    known, found = {parameter.get_friendly_name() for parameter in model.get_parameters()}, []
    for name, (dtype, dims) in graph.inputs.items():
        if name not in known:
            shape = PartialShape([size if isinstance(size, int) else -1 for size in dims])
            found.append(op.Parameter(getattr(Type, _INPUTS[dtype]), shape))
            found[-1].set_friendly_name(name)
            found[-1].output(0).set_names({name})
    return found


def _constants(core: Any, weights: Mapping[str, Weight], file: Mapped) -> dict[str, Any]:
    """Outputs of constants over the file's bytes, in float32, by name."""
    from openvino import Tensor

    store = core.read_model(_store(weights), Tensor(file.bytes, shared_memory=True))
    return {one.get_friendly_name().removesuffix("/result"): one.input_value(0) for one in store.get_results()}


def _store(weights: Mapping[str, Weight]) -> str:
    """OpenVINO's description of a network of nothing but constants."""
    layers: list[str] = []
    edges: list[str] = []
    for name, weight in weights.items():
        _add(layers, edges, name, weight)
    return f'<net name="weights" version="11"><layers>{"".join(layers)}</layers><edges>{"".join(edges)}</edges></net>'


def _add(layers: list[str], edges: list[str], name: str, weight: Weight) -> None:
    """A constant, a conversion where it is no float32, and a result to find it by."""
    short, long = _TYPES[weight.dtype]
    dims = "".join(f"<dim>{size}</dim>" for size in weight.shape)
    shape = ", ".join(map(str, weight.shape))
    stored, wide = (f'<port id="{{}}" precision="{kind}">{dims}</port>' for kind in (long, "FP32"))
    data = f'<data element_type="{short}" shape="{shape}" offset="{weight.offset}" size="{weight.length}"/>'
    chain = [("Const", f"{data}<output>{stored.format(0)}</output>", "")]
    if weight.dtype != "F32":
        ports = f"<input>{stored.format(0)}</input><output>{wide.format(1)}</output>"
        chain.append(("Convert", f'<data destination_type="f32"/>{_KEPT}{ports}', "/f32"))
    chain.append(("Result", f"<input>{wide.format(0)}</input>", "/result"))
    for index, (kind, inside, suffix) in enumerate(chain):
        number = len(layers)
        layers.append(
            f'<layer id="{number}" name={quoteattr(name + suffix)} type="{kind}" version="opset1">{inside}</layer>'
        )
        if index:
            port = int(index == 2)  # a conversion's output is its second port
            edges.append(f'<edge from-layer="{number - 1}" from-port="{port}" to-layer="{number}" to-port="0"/>')
