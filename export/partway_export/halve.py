"""Store weights of traced or quantised files as fp16; arithmetic stays float32."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from partway_export.onnx_file import large_weights, replace_initializers
from partway_export.storing import LARGE


def halve_onnx(model: Any) -> None:
    """Store the large float32 weights of an ONNX model as float16, in place, each followed by a Cast to float32."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors, stored = [], [], set()
    for name, tensor in large_weights(model).items():
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() <= np.finfo(np.float16).max:
            tensors.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
            nodes.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
            stored.add(name)
    replace_initializers(model, stored, tensors)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)


def halve_openvino(path: Path) -> None:
    """Rewrite the OpenVINO model at ``path`` with its large float32 weights stored as fp16."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    # The old file is mapped into memory and must stay until the new ones are written.
    halved, new = path.with_name("halved.xml"), path.with_name("new.xml")
    openvino.save_model(model, halved, compress_to_fp16=True)
    compressed = core.read_model(halved)
    _keep_small(compressed, model)
    openvino.save_model(compressed, new, compress_to_fp16=False)
    del model, compressed
    replace_openvino(path, new)
    for suffix in (".xml", ".bin"):
        halved.with_suffix(suffix).unlink()


def replace_openvino(path: Path, new: Path) -> None:
    """Put the OpenVINO model at ``new`` in the place of the one at ``path``, which nothing may have mapped any more."""
    for suffix in (".xml", ".bin"):
        os.replace(new.with_suffix(suffix), path.with_suffix(suffix))


def _keep_small(model: Any, original: Any) -> None:
    """Give ``model`` back the small float32 constants of ``original``.

    OpenVINO compresses them too, and gains nothing; but the frequencies of the time embedding, multiplied by
    timesteps up to 1000, are then off by up to a quarter of a radian.
    """
    from openvino import opset8

    small = {
        node.get_friendly_name(): node
        for node in original.get_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type().get_type_name() == "f32"
        and np.prod(node.shape) < LARGE
    }
    for node in model.get_ops():
        if node.get_type_name() == "Convert" and node.get_friendly_name() in small:
            exact = opset8.constant(small[node.get_friendly_name()].data)
            for user in node.output(0).get_target_inputs():
                user.replace_source_output(exact.output(0))
