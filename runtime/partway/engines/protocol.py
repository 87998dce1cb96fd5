"""What every engine does, and what networks take and give."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.errors import NetworkError


class Port(NamedTuple):
    """An input or output: NumPy's name of its type, and its shape with None where any size goes."""

    dtype: str
    shape: tuple[int | None, ...]


class Signature(NamedTuple):
    """What a network takes and gives, by name, in the graph's order."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


class Engine(Protocol):
    """Runs networks by name, from any thread; loads each on first use.

    batch: the largest that it takes at once, None for any
    """

    batch: int | None

    def signature(self, network: str) -> Signature:
        """What the network takes and gives; remembered after `release`, because streamed runs ask at every call."""
        ...

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it once; floating-point results are float32. Raises `NetworkError` naming network and remedy."""
        ...

    def release(self, network: str) -> None:
        """Forget a network to free its memory, where it is loaded; using it again loads it again."""
        ...


def cast(network: str, inputs: Mapping[str, NDArray[Any]], signature: Signature) -> dict[str, NDArray[Any]]:
    """Inputs in the graph's types; floats that go to integers are rounded. Raises `NetworkError` on a misfit."""
    if set(inputs) != set(signature.inputs):
        raise NetworkError(f"{network} takes {_names(signature.inputs)}, not {_names(inputs)}; export it again")
    ready = {}
    for name, array in inputs.items():
        port = signature.inputs[name]
        fits = array.ndim == len(port.shape) and all(
            want in (None, have) for want, have in zip(port.shape, array.shape, strict=True)
        )
        if not fits:
            wanted = "x".join("?" if size is None else str(size) for size in port.shape) or "a single number"
            given = "x".join(map(str, array.shape)) or "a single number"
            raise NetworkError(f"{network} takes {name} of shape {wanted}, not {given}; change the size or the model")
        integral = np.issubdtype(np.dtype(port.dtype), np.integer)
        if integral and not np.issubdtype(array.dtype, np.integer):
            array = np.rint(array)
        ready[name] = np.asarray(array, dtype=port.dtype, order="C")
    return ready


def as_float32(outputs: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Results by name, floating-point ones as float32."""
    return {
        name: array.astype(np.float32, copy=False) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in outputs
    }


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
