"""One evaluation of the UNet: its inputs under the names that its graph has, in batches that it can take."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine, Port
from partway.errors import NetworkError

Array = NDArray[np.float32]

SAMPLE, TIMESTEP, GUIDANCE = "sample", "timestep", "timestep_cond"  # diffusers' names


def evaluate(
    engine: Engine, network: str, timestep: float, inputs: Mapping[str, Array], *, batch: int
) -> dict[str, Array]:
    """The outputs of a graph of the UNet for ``inputs`` by diffusers' names, each (B, ...), in calls of ``batch``.

    Calls are smaller where the engine takes less at once. A graph of fixed batch takes its own, and is given copies of
    the last of ``inputs`` to fill it. Raises `NetworkError` for a graph that takes something else.
    """
    ports = engine.signature(network).inputs
    names = _matched(ports, (TIMESTEP, *inputs))
    total, fixed = len(inputs[SAMPLE]), ports[names[SAMPLE]].shape[0]
    batch = fixed or min(engine.batch or total, batch)
    missing = -total % fixed if fixed else 0
    given = {names[key]: _filled(array, missing) for key, array in inputs.items()}
    given_always = {names[TIMESTEP]: np.full([size or 1 for size in ports[names[TIMESTEP]].shape], timestep)}
    outputs = [
        engine.run(network, given_always | {name: array[start : start + batch] for name, array in given.items()})
        for start in range(0, total + missing, batch)
    ]
    if len(outputs) == 1 and not missing:
        return outputs[0]
    return {name: np.concatenate([output[name] for output in outputs])[:total] for name in outputs[0]}


def _matched(ports: Mapping[str, Port], keys: Sequence[str]) -> dict[str, str]:
    """The graph's own name of each input, which exporters may have put a prefix before."""
    names = {name.split(".")[-1]: name for name in ports}
    for key in keys:
        if key not in names and key != GUIDANCE:
            raise NetworkError(f"the unet has no input {key!r}; export the model again")
    if (GUIDANCE in names) != (GUIDANCE in keys):
        raise NetworkError("the unet and its config.json differ on whether it takes the guidance scale; export again")
    if unknown := sorted(names.keys() - set(keys)):
        raise NetworkError(f"the unet also needs {', '.join(unknown)}; its kind of model is not supported")
    return {key: names[key] for key in keys}


def _filled(array: Array, missing: int) -> Array:
    copies: list[Any] = [array[-1:]] * missing
    return np.concatenate([array, *copies]) if missing else array
