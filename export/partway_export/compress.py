"""Store weights in fewer bits; arithmetic stays float32, or what the engine is asked for."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway_export.families import INT4
from partway_export.four_bits import compress_products, pack_products
from partway_export.onnx_file import LARGE, large_weights, replace_initializers

# Where the output channel of a weight lies, by the operator that uses it as its second input.
CHANNEL = {"Conv": 0, "MatMul": -1}


def compress_onnx(model: Any, weights: str) -> None:
    """Store the large weights of an ONNX model as ``weights`` ("fp32", "fp16", "int8" or "int4"), in place.

    fp16: float16 tensors, each followed by a Cast to float32 that engines fold when they load. int8: one
    symmetric scale per output channel, as DequantizeLinear; what is neither a convolution nor a matrix product
    is stored as fp16. int4: the same after `partway_export.four_bits.pack_products`.
    """
    from onnx import TensorProto, helper, numpy_helper

    if weights == "fp32":
        return
    nodes, tensors = [], []
    large = large_weights(model)
    for name in pack_products(model, large) if weights == INT4 else ():
        del large[name]
    uses = _uses(model)
    stored = set()
    for name, tensor in large.items():
        values = numpy_helper.to_array(tensor)
        axes = {axis for axis in uses.get(name, {None}) if axis is not None} if weights != "fp16" else set()
        if len(axes) == 1 and None not in uses[name]:
            packed = quantise(values, axes.pop() % values.ndim)
            tensors += [
                numpy_helper.from_array(packed.values, f"{name}.int8"),
                numpy_helper.from_array(packed.scale, f"{name}.scale"),
            ]
            inputs = [f"{name}.int8", f"{name}.scale"]
            nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=packed.axis))
        elif np.abs(values).max() <= np.finfo(np.float16).max:
            tensors.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
            nodes.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
        else:
            continue
        stored.add(name)
    replace_initializers(model, stored, tensors)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)


class Quantised(NamedTuple):
    """int8 values and float32 scales along ``axis``: ``values * scale`` is nearly the original."""

    values: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int


def quantise(values: NDArray[np.float32], axis: int) -> Quantised:
    """Quantise symmetrically to -127..127 with one scale per index of ``axis``."""
    others = tuple(index for index in range(values.ndim) if index != axis)
    peak = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    rounded = np.rint(values / scale).clip(-127, 127).astype(np.int8)
    return Quantised(rounded, scale.reshape(-1), axis)


def compress_openvino(path: Path, weights: str) -> None:
    """Rewrite the OpenVINO model at ``path`` with its large weights stored as "fp32", "fp16", "int8" or "int4"."""
    if weights == "fp32":
        return
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    if weights == "int8":
        import nncf

        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    elif weights == INT4:
        model = compress_products(model)
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


def _uses(model: Any) -> dict[str, set[int | None]]:
    """Return, for every tensor, the channel axes that its users ask for; None stands for any other use."""
    uses: dict[str, set[int | None]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            axis = CHANNEL.get(node.op_type) if index == 1 else None
            if node.op_type == "Gemm" and index == 1:
                transposed = any(item.name == "transB" and item.i for item in node.attribute)
                axis = 0 if transposed else 1
            uses.setdefault(name, set()).add(axis)
    return uses
