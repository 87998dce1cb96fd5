"""torch module -> graph on disk, through optimum, with dynamic batch, height and width."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from partway.errors import PackageError
from partway_export.attention import fused
from partway_export.families import FORMATS
from partway_export.guard import one_line
from partway_export.load import Traceable

# The latent size that a UNet is traced at. Being odd, it makes diffusers record that the network enlarges to the
# size of its skip connections: then it takes any size, not only multiples of 8.
ODD = 31
OPSET = 17  # the first in which LayerNormalization is one node


def trace(name: str, network: Traceable, folder: Path, to: str, *, fuse: bool = True) -> Path:
    """Write the network in float32 to ``folder/name/`` as ``to`` ("onnx" or "openvino"); return the path.

    fuse: whether attention becomes one operator in ONNX. Raises PackageError when optimum cannot trace it.
    """
    path = folder / name / FORMATS[to]
    path.parent.mkdir(parents=True, exist_ok=True)
    adjust_inputs(network.config)
    try:
        if to == "onnx":
            from optimum.exporters.onnx.convert import export as export_onnx

            with fused(network.module) if fuse else nullcontext():
                export_onnx(network.module, network.config, path, opset=OPSET, dtype="fp32")
        else:
            from optimum.exporters.openvino.convert import export as export_openvino

            with _unchecked():
                export_openvino(network.module, network.config, path, stateful=False)
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:
        raise PackageError(f"{name} cannot be traced: {one_line(error)}") from error
    return path


@contextmanager
def _unchecked() -> Iterator[None]:
    """Have torch trace without tracing a second time to compare: every network is compared with it in the end."""
    import torch

    with patch("torch.jit.trace", partial(torch.jit.trace, check_trace=False)):
        yield


def adjust_inputs(config: Any) -> None:
    """Change the inputs that ``config`` (optimum's settings) traces a UNet with: float timestep, odd size.

    optimum-intel records an int64 timestep, which would round those of Karras and other schedules; optimum-onnx
    records a graph that takes only sizes which halve evenly.
    """
    make = config.generate_dummy_inputs

    def generate_dummy_inputs(*args: Any, **kwargs: Any) -> Any:
        inputs = make(*args, **kwargs)
        if "timestep" in inputs:
            inputs["timestep"] = inputs["timestep"].float()
            inputs["sample"] = inputs["sample"][:, :, :ODD, :ODD]
        return inputs

    config.generate_dummy_inputs = generate_dummy_inputs
