"""Step reuse: evaluations by the UNet's outermost layers alone, on deep features that an earlier whole one left.

DeepCache (Ma et al. 2023, arXiv 2312.00858) counts steps. Here it is the way in timesteps, with which features change:
they are kept while the way since is at most a share of the way from pure noise, and in the noisier half, which decides
what the picture shows, of less: none of the way at pure noise, all of it at the middle. So few steps, which lie far
apart, reuse little; high strength begins with hardly any, and at low strength there is no such beginning. There the way
is short, and they are kept for less than half of it, so that it is not gone on what its first step found. Features are
taken as they are: led on along the change between the last two whole evaluations they end further from the exact
picture, not nearer.

How far the other predictions of guidance are from the prompt's is kept as well, but guidance multiplies what is wrong
with it: it is kept for half as long. So there are three kinds of evaluation: whole; shallow of all predictions; and
shallow of the prompt's prediction alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_GUIDANCE = 0.5  # of the time that features are kept, how far guidance is
_RUN = 0.45  # of a run's whole way, the longest that they are


class Reuse:
    """Which evaluations of one run are whole, and what the others take from those before them.

    share: of the way from pure noise that features are kept for from the middle on, 0 .. 1; 0: every evaluation is
    whole
    timesteps: how many the model was trained on
    whole: whether this evaluation is
    parts: how many calls its rows are for, so that those of one view suit every evaluation and compile once
    """

    def __init__(self, share: float = 0.0, timesteps: int = 1000) -> None:
        self._share, self._timesteps = share, timesteps
        self._start = 0.0  # timestep of the first evaluation
        self._whole = self._all = 0.0  # timesteps of the last whole evaluation, and of the last of all views
        self._views = 0  # that these had
        self._features: list[Array] = []  # of each tile of the last whole one
        self._tile = 0
        self._apart: list[Array] = []  # the other views' outputs, less the prompt's, of the last of all views
        self._alone = False
        self.whole, self.parts = True, 1

    def begin(self, timestep: float, views: int) -> int:
        """Begin an evaluation that asks for so many views, all or 1; return how many it makes: these, or the prompt's.

        One of more views than the last whole one had is whole.
        """
        self._start = max(self._start, timestep)
        way = 1 - timestep / self._timesteps
        limit = min(self._share * way * min(1, 2 * way) * self._timesteps, _RUN * self._start) + 1e-6
        self.whole = not (self._share and views <= self._views and abs(self._whole - timestep) <= limit)
        self._tile = 0
        if self.whole:
            self._whole, self._views, self._features = timestep, views, []
        near = abs(self._all - timestep) <= _GUIDANCE * limit
        self._alone = not self.whole and (near or views < self._views)
        if not self._alone:
            self._all = timestep
        made = 1 if self._alone else views
        self.parts = made if self._share else 1
        return made

    def completed(self, outputs: Sequence[Array]) -> Sequence[Array]:
        """The outputs of all views, each (B, C, h, w), the prompt's last, of those that this evaluation made."""
        prompt = outputs[-1]
        if self._alone:
            return [*(prompt + apart for apart in self._apart), prompt]
        if self._share > 0:
            self._apart = [other - prompt for other in outputs[:-1]]
        return outputs

    def keep(self, features: Array) -> None:
        """Keep what a whole evaluation's next tile left, (rows, C, h, w)."""
        if self._share > 0:
            self._features.append(features)

    def take(self, rows: int) -> Array:
        """The features of the next tile, of the last rows, which are the prompt's: (rows, C, h, w)."""
        self._tile += 1
        return self._features[self._tile - 1][-rows:]
