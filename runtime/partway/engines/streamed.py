"""An engine that runs the UNet segment by segment, with one of them loaded at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from partway.engines.protocol import Engine, Port, Signature
from partway.graphs import DEEP

UNET = "unet"


class Streamed:
    """Wraps an engine: its network "unet" is the ``segments`` in turn, which read outputs of earlier ones by name.

    Every call loads each segment and releases it again, which takes about as long as reading its weights.
    """

    def __init__(self, engine: Engine, segments: Sequence[str]) -> None:
        self._engine = engine
        self._segments = tuple(segments)
        self._unet: Signature | None = None
        self.batch = engine.batch

    def signature(self, network: str) -> Signature:
        """What the network takes and gives; the UNet's is found by loading its segments once."""
        if network != UNET:
            return self._engine.signature(network)
        if self._unet is None:
            inputs: dict[str, Port] = {}
            made: dict[str, Port] = {}
            used: set[str] = set()
            for segment in self._segments:
                taken, given = self._segment(segment)
                inputs |= {name: port for name, port in taken.items() if name not in made}
                used |= taken.keys()
                made |= given
            # The last output comes first, as in the uncut graph. Deep features are one, although segments read them.
            outputs = {name: made[name] for name in reversed(made) if name not in used or name == DEEP}
            self._unet = Signature(inputs, outputs)
        return self._unet

    def run(self, network: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once, the UNet segment by segment; raises `NetworkError` if it fails."""
        if network != UNET:
            return self._engine.run(network, inputs)
        known, wanted = dict(inputs), self.signature(UNET).outputs
        for index, segment in enumerate(self._segments):
            taken, _ = self._segment(segment)
            made = self._engine.run(segment, {name: known[name] for name in taken})
            self._engine.release(segment)
            later = {name for one in self._segments[index + 1 :] for name in self._segment(one).inputs}
            known = {name: array for name, array in known.items() if name in later or name in wanted} | made
        return {name: known[name] for name in wanted}

    def release(self, network: str) -> None:
        """Forget a network to free its memory."""
        if network != UNET:
            self._engine.release(network)

    def _segment(self, name: str) -> Signature:
        """A segment's signature; engines remember it after the segment is released."""
        signature = self._engine.signature(name)
        self._engine.release(name)
        return signature
