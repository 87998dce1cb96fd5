"""An engine that adds up how long each network runs."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from partway.engines.protocol import Engine, Signature


class Timed:
    """Wraps an engine; ``seconds`` and ``calls`` are totals by network."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.batch = engine.batch
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def signature(self, network: str) -> Signature:
        """What the network takes and gives; a network that loads for it counts as running."""
        start = perf_counter()
        signature = self._engine.signature(network)
        self._add(network, perf_counter() - start)
        return signature

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network and add its time."""
        start = perf_counter()
        outputs = self._engine.run(network, inputs)
        self._add(network, perf_counter() - start)
        self.calls[network] = self.calls.get(network, 0) + 1
        return outputs

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        self._engine.release(network)

    def _add(self, network: str, seconds: float) -> None:
        self.seconds[network] = self.seconds.get(network, 0.0) + seconds
