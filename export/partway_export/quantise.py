"""8-bit weights and activations for the UNet: its convolutions and matrix products then run in integers.

Ranges of activations come from what `partway_export.calibrate` recorded. Some layers stay in float; see
`partway_export.layers.in_float`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from partway_export.calibrate import Arrays
from partway_export.halve import halve_onnx, halve_openvino, replace_openvino
from partway_export.layers import in_float
from partway_export.onnx_file import read, write


def quantise_onnx(path: Path, samples: Sequence[Arrays]) -> None:
    """Rewrite the float32 ONNX UNet at ``path`` with QuantizeLinear and DequantizeLinear around its layers.

    Weights are int8, symmetric, one scale per output channel, and use half of the range: processors without integer
    dot products add two products in 16 bits, where those of whole ranges overflow. Activations are uint8, whose zero
    point takes up what SiLU leaves of negative values. A convolution's output is quantised too: without it ONNX Runtime
    finds no integer convolution to use. That of a matrix product is not: its integer kernel returns float, which is
    nearer and quicker. Products of two activations (attention) and the rest stay in float; weights of what does are
    stored as fp16.
    """
    from onnx import TensorProto, helper
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library is not analysed
        def __init__(self) -> None:
            self.left: Iterator[Arrays] = iter(samples)

        def get_next(self) -> Arrays | None:
            return next(self.left, None)

    model = read(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    layers = [node.name for node in model.graph.node if node.op_type in ("Conv", "MatMul") and node.input[1] in weights]
    for node in model.graph.node:
        if node.op_type == "MultiHeadAttention":  # the library cannot tell its type, and would leave what follows
            value = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [None] * 3)
            model.graph.value_info.append(value)
    write(model, path)
    del model
    new = path.with_name("new.onnx")
    quantize_static(
        path,
        new,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul"],
        nodes_to_quantize=sorted(set(layers) - set(in_float(layers))),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        use_external_data_format=path.with_name(path.name + "_data").exists(),
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )
    model = read(new)
    for file in path.parent.glob("new.onnx*"):
        file.unlink()
    halve_onnx(model)
    write(model, path)


def quantise_openvino(path: Path, samples: Sequence[Arrays]) -> None:
    """Rewrite the float32 OpenVINO UNet at ``path`` with NNCF's post-training quantisation.

    The weights of layers that stay in float are stored as fp16.
    """
    import nncf
    import openvino

    model = openvino.Core().read_model(path)
    layers = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() in ("Convolution", "MatMul")]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=in_float(layers)),
    )
    new = path.with_name("new.xml")
    openvino.save_model(quantised, new, compress_to_fp16=False)
    del model, quantised
    replace_openvino(path, new)
    halve_openvino(path)
