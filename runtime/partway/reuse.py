"""Step reuse: evaluations by the UNet's outermost layers alone, on deep features that an earlier whole one left.

DeepCache (Ma et al. 2023, arXiv 2312.00858) counts steps. Here it is the way in timesteps, with which features change:
they are kept while the way since is at most a share of the way from pure noise, and in the noisier half, which decides
what the picture shows, of less: none of the way at pure noise, all of it at the middle. So few steps, which lie far
apart, reuse little; high strength begins with hardly any, and at low strength there is no such beginning. Features are
taken as they are: led on along the change between the last two whole evaluations they end further from the exact
picture, not nearer.

How far the other predictions of guidance are from the prompt's changes as little, so it is kept as well, and an
evaluation that is not whole makes the prompt's prediction alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Reuse:
    """Which evaluations of one run are whole, and what the others take from the last whole one.

    share: of the way from pure noise that they are kept for from the middle on, 0 .. 1; 0 makes every evaluation whole
    timesteps: how many the model was trained on
    whole: whether this evaluation is
    """

    def __init__(self, share: float = 0.0, timesteps: int = 1000) -> None:
        self._share, self._timesteps = share, timesteps
        self._timestep, self._views = 0.0, 0  # of the last whole evaluation
        self._features: list[Array] = []  # of each of its tiles
        self._tile = 0
        self._apart: list[Array] = []  # its other views' outputs, less the prompt's
        self.whole = True

    def begin(self, timestep: float, views: int) -> bool:
        """Begin an evaluation that asks for so many views; whether it is whole, as it is for more than the last had."""
        way = 1 - timestep / self._timesteps
        limit = self._share * way * min(1, 2 * way) * self._timesteps + 1e-6
        near = self._share > 0 and abs(self._timestep - timestep) <= limit
        self._tile, self.whole = 0, not near or views > self._views
        if self.whole:
            self._timestep, self._views, self._features = timestep, views, []
        return self.whole

    def completed(self, outputs: Sequence[Array]) -> Sequence[Array]:
        """The outputs of all views, each (B, C, h, w), the prompt's last, of those that this evaluation made."""
        prompt = outputs[-1]
        if not self.whole:
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
