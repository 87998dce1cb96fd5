"""Reading and writing ONNX files of any size, and the weights inside them."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from partway_export.onnx_networks import LIMIT
from partway_export.storing import LARGE


def read(path: Path) -> Any:
    """Return the model at ``path`` with all its weights in memory."""
    import onnx

    return onnx.load(path)


def write(model: Any, path: Path) -> None:
    """Write ``model`` over ``path``, its weights in ``<path>_data`` where they are more than `LIMIT` bytes."""
    import onnx

    data = path.with_name(path.name + "_data")
    data.unlink(missing_ok=True)  # onnx would append to it
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) < LIMIT:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=LARGE)
    mask = os.umask(0)
    os.umask(mask)
    for file in (path, data):
        if file.exists():
            file.chmod(0o666 & ~mask)


def large_weights(model: Any) -> dict[str, Any]:
    """Return the float32 initializers worth handling, by name."""
    import onnx

    return {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims, dtype=np.int64) >= LARGE
    }


def replace_initializers(model: Any, removed: set[str], added: list[Any]) -> None:
    """Drop the initializers named in ``removed`` from the model's graph and append ``added``."""
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in removed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept + added)
