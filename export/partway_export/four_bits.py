"""Weights of matrix products in 4 bits, a scale for each group of a row; arithmetic stays in float.

In groups, because a scale for a whole row of hundreds of numbers leaves most of them two or three of sixteen steps
(Dettmers and Zettlemoyer 2023, arXiv 2212.09720, section 5). Convolutions, embeddings and what the timestep goes
through are stored as int8, and so are products whose rows do not divide into groups.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway_export.layers import in_float
from partway_export.onnx_file import replace_initializers

GROUP = 64
"""Numbers that share a scale, where a row divides into so many; half as many at the least."""

LEAST = GROUP // 2


def group(width: int) -> int | None:
    """The numbers of a row of ``width`` that share a scale; None where it does not divide into groups."""
    return next((size for size in (GROUP, LEAST) if width % size == 0), None)


def pack(values: NDArray[np.float32], size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantise (inputs, outputs) symmetrically to 4 bits, in groups of ``size`` along the inputs.

    Returns uint8 of shape (outputs, groups, size / 2), two numbers a byte, the earlier one in the low bits, 8 standing
    for zero; and float32 scales of shape (outputs, groups). The number farthest from zero is -8 times its scale.
    """
    groups = values.T.reshape(values.shape[1], -1, size)
    farthest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)
    scale = np.where(farthest == 0, np.float32(1), farthest / np.float32(-8))
    steps = (np.rint(groups / scale) + 8).clip(0, 15).astype(np.uint8)
    packed: NDArray[np.uint8] = np.bitwise_or(steps[..., ::2], np.left_shift(steps[..., 1::2], np.uint8(4)))
    return packed, scale[..., 0].astype(np.float32)


def pack_products(model: Any, large: Mapping[str, Any]) -> set[str]:
    """Give an ONNX model's matrix products the operator MatMulNBits, in place; return the weights that this took.

    ``large``: the float32 weights worth handling, by name. The operator is ONNX Runtime's own (com.microsoft), which
    OpenVINO reads too.
    """
    from onnx import helper, numpy_helper

    used = Counter(name for node in model.graph.node for name in node.input)
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in large]
    spared = set(in_float(node.name for node in products))
    taken, tensors = set(), []
    for node in products:
        weight = node.input[1]
        values = numpy_helper.to_array(large[weight])
        size = group(values.shape[0])
        if size is None or values.ndim != 2 or used[weight] > 1 or node.name in spared:
            continue
        packed, scales = pack(values, size)
        tensors += [
            numpy_helper.from_array(packed, f"{weight}.int4"),
            numpy_helper.from_array(scales.reshape(-1), f"{weight}.scale"),
        ]
        inputs = [node.input[0], f"{weight}.int4", f"{weight}.scale"]
        sizes = {"K": values.shape[0], "N": values.shape[1], "bits": 4, "block_size": size}
        node.CopyFrom(
            helper.make_node("MatMulNBits", inputs, list(node.output), node.name, domain="com.microsoft", **sizes)
        )
        taken.add(weight)
    replace_initializers(model, taken, tensors)
    if taken:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return taken


def compress_products(model: Any) -> Any:
    """Return an OpenVINO model with its matrix products in 4 bits and its other large weights in 8, by NNCF.

    NNCF keeps convolutions, embeddings and the last product in 8 bits. A second pass takes what the first was told to
    leave alone.
    """
    import nncf

    products = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() == "MatMul"]
    model = nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_SYM,
        group_size=GROUP,
        backup_mode=nncf.BackupMode.INT8_SYM,
        ignored_scope=nncf.IgnoredScope(names=in_float(products)),
        advanced_parameters=nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=LEAST
        ),
    )
    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
