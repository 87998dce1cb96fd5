"""Step reuse: evaluations by the UNet's outermost layers alone, on deep features that an earlier whole one left.

DeepCache (Ma et al. 2023, arXiv 2312.00858) counts steps. Here it is the way in timesteps, with which features change:
they are kept while the way since is at most a share of the way from pure noise. So few steps, which lie far apart,
reuse little; at high strength the noisy beginning, which decides what the picture shows, reuses less than its end, and
at low strength there is no such beginning. Features are taken as they are: led on along the change between the last two
whole evaluations they end further from the exact picture, not nearer.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Reuse:
    """Which evaluations of one run are whole, and the deep features that the others take.

    share: of the way from pure noise that deep features are kept for, 0 .. 1; 0 makes every evaluation whole
    timesteps: how many the model was trained on
    """

    def __init__(self, share: float = 0.0, timesteps: int = 1000) -> None:
        self._share, self._timesteps = share, timesteps
        self._timestep, self._rows = 0.0, 0  # of the last whole evaluation
        self._features: list[Array] = []  # of each of its tiles
        self._tile = 0

    def begin(self, timestep: float, rows: int) -> bool:
        """Begin an evaluation of so many rows; whether it is whole.

        Fewer rows than before, as where guidance ends, are the last of those; more of them need a whole one.
        """
        self._tile = 0
        limit = self._share * (self._timesteps - timestep) + 1e-6
        if self._share > 0 and rows <= self._rows and abs(self._timestep - timestep) <= limit:
            return False
        self._timestep, self._rows, self._features = timestep, rows, []
        return True

    def keep(self, features: Array) -> None:
        """Keep what a whole evaluation's next tile left, (rows, C, h, w)."""
        if self._share > 0:
            self._features.append(features)

    def take(self, rows: int) -> Array:
        """The features of the next tile, (rows, C, h, w)."""
        self._tile += 1
        return self._features[self._tile - 1][-rows:]
