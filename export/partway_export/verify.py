"""Is the exported graph still the network? Its outputs against the model's own, in decibels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from partway.errors import NetworkError
from partway.graphs import DEEP
from partway.model import doctor
from partway_export.guard import one_line
from partway_export.reference import Reference

# The least PSNR of an exported network, in dB. fp32 differs by rounding only and measures 130 dB and more.
# Stored as fp16, networks measure 60 to 84 dB; as int8, 49 to 58 dB with random weights, and less where
# trained channels have outliers. One line for both: at 35 dB the error of a normal output (its range is about
# 8 standard deviations) is a seventh of its standard deviation, and nothing healthy comes near it. UNets in w8a8
# measure 48 and 58 dB trained (the built-in model, ONNX and OpenVINO) and 32 to 37 dB with random weights. 30 dB is
# where pictures break: the built-in model with every layer in 8 bits has 26 to 29 dB, and its pictures are 17 dB from
# those of fp32. The built-in model's UNet in int4 measures 49 dB, in both formats.
GATES = {"fp32": 70.0, "fp16": 35.0, "int8": 35.0, "int4": 30.0, "w8a8": 30.0}


def psnr(reference: NDArray[Any], output: NDArray[Any]) -> float:
    """Return `partway.model.doctor.psnr` in dB, held within -200 .. 200, so that the figure stays a number in JSON."""
    return max(-200.0, min(200.0, doctor.psnr(reference, output)))


def measured(name: str, path: Path, reference: Reference, to: str, gate: float) -> float:
    """Run the graph at ``path`` on the reference's inputs and return the worst PSNR over its outputs, in dB.

    Raises NetworkError, naming the network and the figure, when it is below ``gate``.
    """
    try:
        outputs = _run(path, reference.inputs, to)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise NetworkError(f"{name} was exported but does not run: {one_line(error)}") from error
    worst = min(psnr(value, outputs[key]) for key, value in reference.outputs.items())
    if worst < gate:
        raise NetworkError(
            f"{name} differs too much from the model in float32: {worst:.1f} dB, and at least {gate:g} dB is needed; "
            "export with weights of a higher precision"
        )
    return worst


def with_features(reference: Reference, path: Path, to: str) -> Reference:
    """The UNet's reference as its shallow graph's: with the deep features that the full graph at ``path`` gives."""
    outputs = _run(path, reference.inputs, to)
    return Reference({**reference.inputs, DEEP: outputs[DEEP]}, reference.outputs)


def _run(path: Path, inputs: Mapping[str, NDArray[Any]], to: str) -> dict[str, NDArray[Any]]:
    return (_run_onnx if to == "onnx" else _run_openvino)(path, inputs)


def _run_onnx(path: Path, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The level above lays out convolutions' weights anew, which takes half as much memory again for a single call.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _run_openvino(path: Path, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    import openvino

    # The weights are on trial, not this machine's shorter arithmetic (bfloat16 where the processor has it).
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", exact)
    result = model(dict(inputs))
    return {output.get_any_name(): result[output] for output in model.outputs}
