"""8-bit weights and activations for the UNet: its convolutions and matrix products then run in integers.

Ranges of activations come from what `partway_export.calibrate` recorded. Some layers stay in float; see `in_float`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from partway_export.calibrate import Arrays
from partway_export.compress import compress_onnx, compress_openvino, replace_openvino
from partway_export.onnx_file import read, write

# Of the names that torch gives layers, in either format: "/up_blocks.2/resnets.1/conv1/Conv" in ONNX,
# "__module.up_blocks.2.resnets.1.conv1/..." in OpenVINO.
_EDGES = re.compile(r"(^|[/.])(conv_in|conv_out|time_emb\w*|add_embedding)[/.]")
_UP = re.compile(r"(?:^|[/.])up_blocks\.(\d+)[/.]resnets\.")


def in_float(names: Iterable[str]) -> list[str]:
    """Return, of a UNet's layers, those that have to stay in float.

    They are the first and the last convolution, what the timestep goes through, and the residual blocks of the last
    level up. These last see fine noise beside large smooth values, and at low noise levels the noise is what they have
    to return: of the built-in model's 48 inner convolutions, the six with the largest error, each quantised alone,
    are theirs (24 to 47 dB at timesteps below 300; the others 51 to 109 dB).
    """
    names = list(names)
    last = max((int(match[1]) for name in names if (match := _UP.search(name))), default=None)
    kept = []
    for name in names:
        level = _UP.search(name)
        if _EDGES.search(name) or (level and int(level[1]) == last):
            kept.append(name)
    return kept


def quantise_onnx(path: Path, samples: Sequence[Arrays]) -> None:
    """Rewrite the float32 ONNX UNet at ``path`` with QuantizeLinear and DequantizeLinear around its layers.

    Weights are int8, symmetric, one scale per output channel; activations uint8, whose zero point takes up what SiLU
    leaves of negative values. A convolution's output is quantised too: without it ONNX Runtime finds no integer
    convolution to use. That of a matrix product is not: its integer kernel returns float, which is nearer and quicker.
    Products of two activations (attention) and the rest stay in float; weights of what does are stored as fp16.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library is not analysed
        def __init__(self) -> None:
            self.left: Iterator[Arrays] = iter(samples)

        def get_next(self) -> Arrays | None:
            return next(self.left, None)

    model = read(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    layers = [node.name for node in model.graph.node if node.op_type in ("Conv", "MatMul") and node.input[1] in weights]
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
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        use_external_data_format=path.with_name(path.name + "_data").exists(),
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )
    model = read(new)
    for file in path.parent.glob("new.onnx*"):
        file.unlink()
    compress_onnx(model, "fp16")
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
    compress_openvino(path, "fp16")
