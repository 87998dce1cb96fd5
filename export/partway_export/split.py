"""A second graph of a UNet, of its outermost layers alone, which takes the deep layers' features from an earlier call.

DeepCache (Ma et al. 2023, arXiv 2312.00858): from one noise level to the next the deep features hardly change. A UNet
joins them to its shallow ones where a layer on the way up begins, so there the graph is cut: the full graph gives
the features as a further output, and the shallow one takes them as an input.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from partway.graphs import DEEP, SHALLOW_FILES
from partway.support.reach import reach
from partway_export.compress import replace_openvino
from partway_export.onnx_file import read, write

LAYERS = 1
"""How many of the last layers on the way up are shallow."""

_JOIN = re.compile(r"up_blocks\.\d+/(aten::cat/)?Concat(_\d+)?$")


def split_off(path: Path, to: str, layers: int = LAYERS) -> Path | None:
    """Give the UNet's graph at ``path`` the output `DEEP`, and write the shallow graph beside it; return its path.

    ``to``: "onnx" or "openvino". The weights of an ONNX graph move to a file of their own, which both graphs read; an
    OpenVINO graph has its own, so the shallow layers' are there twice. None, and nothing is changed, for a UNet that
    has no more than ``layers`` on its way up. Other tools may not expect the second output.
    """
    shallow = path.with_name(SHALLOW_FILES[to])
    return shallow if (_split_onnx if to == "onnx" else _split_openvino)(path, shallow, layers) else None


def _split_onnx(path: Path, shallow: Path, layers: int) -> bool:
    import onnx

    model = read(path)
    joins = [node for node in model.graph.node if node.op_type == "Concat" and _JOIN.search(node.name)]
    if len(joins) <= layers:
        return False
    features = joins[-layers].input[0]
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [DEEP if name == features else name for name in names]
    write(model, path, apart=True)
    # Without the weights' values: what is left of them in a graph still says where they are.
    model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False))
    (deep,) = (value for value in model.graph.value_info if value.name == DEEP)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    deep.type.tensor_type.shape.dim[0].CopyFrom(batch)
    model.graph.output.append(deep)
    onnx.save(model, path)
    onnx.save(_above(model, deep), shallow)
    return True


def _above(model: Any, features: Any) -> Any:
    """The part of an ONNX model between the tensor ``features``, now an input, and the first output."""
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output if output != features.name}
    needed = set(reach([graph.output[0].name], lambda name: makers[name].input if name in makers else ()))
    _keep(graph.node, [node for node in graph.node if any(makers.get(name) and name in needed for name in node.output)])
    _keep(graph.output, graph.output[:1])
    _keep(graph.value_info, [value for value in graph.value_info if value.name in needed - {features.name}])
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    graph.input.append(features)  # beside all inputs of the full graph, even those of no use here
    return model


def _keep(field: Any, items: Iterable[Any]) -> None:
    """Let a repeated field of a protobuf hold only ``items``."""
    kept = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(kept)


def _split_openvino(path: Path, shallow: Path, layers: int) -> bool:
    import openvino
    from openvino import opset8

    core = openvino.Core()

    def joins(model: Any) -> list[Any]:
        nodes = [node for node in model.get_ordered_ops() if node.get_type_name() == "Concat"]
        return [node for node in nodes if _JOIN.search(node.get_friendly_name())]

    above = core.read_model(path)
    found = joins(above)
    if len(found) <= layers:
        return False
    features = found[-layers].input_value(0)
    deep = opset8.parameter(features.get_partial_shape(), features.get_element_type(), name=DEEP)
    deep.output(0).set_names({DEEP})
    for user in features.get_target_inputs():
        user.replace_source_output(deep.output(0))
    model = openvino.Model([above.output(0).get_node()], [*above.get_parameters(), deep], "shallow")
    openvino.save_model(model, shallow, compress_to_fp16=False)
    del model, above, found, features

    full = core.read_model(path)
    output = full.add_outputs([joins(full)[-layers].input_value(0)])[0]
    output.set_names({DEEP})
    new = path.with_name("new.xml")
    openvino.save_model(full, new, compress_to_fp16=False)
    del full, output  # the old file was mapped into memory
    replace_openvino(path, new)
    return True
