"""Run an exported graph with the engine libraries themselves, so that no code of this project is in between."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

FILES = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}
# Below what was measured (135, 61 and 49 dB at the worst), far above what a mistake leaves.
NEEDED = {"fp32": 110, "fp16": 50, "int8": 40}


def onnxruntime_run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = _session(path, path.stat().st_mtime_ns)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def openvino_run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    model = _compiled(path, path.stat().st_mtime_ns)
    result = model(inputs)
    return {output.get_any_name(): result[output] for output in model.outputs}


@lru_cache(maxsize=8)  # one test after another runs the same few
def _session(path: Path, changed: int) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"])


@lru_cache(maxsize=8)
def _compiled(path: Path, changed: int) -> Any:
    import openvino

    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


RUN = {"onnx": onnxruntime_run, "openvino": openvino_run}


def decibels(reference: np.ndarray, output: np.ndarray) -> float:
    """PSNR with the range of the reference as peak, written down anew for the tests."""
    assert reference.shape == output.shape
    error = np.mean((reference.astype(np.float64) - output.astype(np.float64)) ** 2)
    return float(20 * np.log10(np.ptp(reference)) - 10 * np.log10(error + 1e-30))


def unet_inputs(made, batch: int, height: int, width: int, timestep: float, length: int = 77) -> dict[str, np.ndarray]:
    """Inputs for the UNet of a package of the tests, of noise, at one timestep."""
    rng = np.random.default_rng(7)
    times = np.float32(timestep) if made.to == "onnx" else np.full(batch, timestep, np.float32)
    return {
        "sample": rng.normal(size=(batch, 4, height, width)).astype(np.float32),
        "timestep": times,
        "encoder_hidden_states": rng.normal(size=(batch, length, 32)).astype(np.float32),
    }
