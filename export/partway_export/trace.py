"""torch module -> graph on disk, through optimum, with dynamic batch, height and width."""

from pathlib import Path
from typing import Any

from partway.errors import PackageError
from partway_export.families import FORMATS
from partway_export.guard import one_line
from partway_export.load import Traceable

# The sizes that a trace is recorded at; all of them become dynamic. An odd latent size makes diffusers record
# that the UNet enlarges to the size of its skip connections: then it takes any size, not only multiples of 8.
TRACED = {"unet": {"height": 31, "width": 31}}
OTHERS = {"height": 64, "width": 64}
OPSET = 17  # the first in which LayerNormalization is one node


def trace(name: str, network: Traceable, folder: Path, to: str) -> Path:
    """Write the network in float32 to ``folder/name/`` as ``to`` ("onnx" or "openvino"); return the path.

    Raises PackageError when optimum cannot trace it.
    """
    path = folder / name / FORMATS[to]
    path.parent.mkdir(parents=True, exist_ok=True)
    float_timestep(network.config)
    shapes = TRACED.get(name, OTHERS)
    try:
        if to == "onnx":
            from optimum.exporters.onnx.convert import export as export_onnx

            export_onnx(network.module, network.config, path, opset=OPSET, input_shapes=shapes, dtype="fp32")
        else:
            from optimum.exporters.openvino.convert import export as export_openvino

            export_openvino(network.module, network.config, path, input_shapes=shapes, stateful=False)
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:
        raise PackageError(f"{name} cannot be traced: {one_line(error)}") from error
    return path


def float_timestep(config: Any) -> None:
    """Make ``config`` (optimum's tracing settings) trace ``timestep`` as float32.

    optimum-intel records int64, which would round the fractional timesteps of Karras and other schedules.
    """
    make = config.generate_dummy_inputs

    def generate_dummy_inputs(*args: Any, **kwargs: Any) -> Any:
        inputs = make(*args, **kwargs)
        if "timestep" in inputs:
            inputs["timestep"] = inputs["timestep"].float()
        return inputs

    config.generate_dummy_inputs = generate_dummy_inputs
