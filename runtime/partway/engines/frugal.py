"""An engine that keeps the networks of one stage loaded at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from partway.engines.protocol import Engine, Signature
from partway.graphs import CONTROLS, NETWORKS, SHALLOW, TINY, TOKENIZERS

_PREDICTING = ("unet", SHALLOW, *CONTROLS)


def stage(network: str) -> tuple[str, ...]:
    """The networks of this one's stage: both UNets and what guides them, or all text encoders, or itself alone."""
    if network in _PREDICTING:
        return _PREDICTING
    return tuple(TOKENIZERS) if network in TOKENIZERS else (network,)


class Frugal:
    """Wraps an engine; before a network is used, those of other stages are released.

    batch: the largest that a network is given at once; None for no other limit than its own
    guides: names of the networks that guide this run by pictures
    """

    def __init__(self, engine: Engine, batch: int | None, guides: Sequence[str] = ()) -> None:
        self._engine = engine
        self._others = (*NETWORKS, SHALLOW, *TINY, *guides)
        self.batch = min((limit for limit in (batch, engine.batch) if limit), default=None)
        self._used: tuple[str, ...] = ()

    def signature(self, network: str) -> Signature:
        """What the network takes and gives; asking may load it."""
        self._enter(network)
        return self._engine.signature(network)

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network, while none of another stage is loaded."""
        self._enter(network)
        return self._engine.run(network, inputs)

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        self._engine.release(network)

    def _enter(self, network: str) -> None:
        used = stage(network)
        if used != self._used:
            for other in self._others:  # all of them: an earlier run may have left some
                if other not in used:
                    self._engine.release(other)
            self._used = used
