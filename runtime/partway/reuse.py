"""Step reuse: evaluations by the UNet's outermost layers alone, on deep features that an earlier whole one left.

DeepCache (Ma et al. 2023, arXiv 2312.00858). How far deep features carry is told in timesteps, with which they change,
and not in steps: few steps lie far apart, so they reuse little, whatever the strength. They are taken as they are: led
on along the change between the last two whole evaluations they end further from the exact picture, not nearer.
"""

import numpy as np
from numpy.typing import NDArray

from partway.levels import Trained

Array = NDArray[np.float32]


class Reuse:
    """Which evaluations of one run are whole, and the deep features that the others take.

    span: the timesteps that deep features are kept for; 0 makes every evaluation whole
    """

    def __init__(self, span: float) -> None:
        self._span = span
        self._timestep, self._rows = 0.0, 0  # of the last whole evaluation
        self._features: list[Array] = []  # of each of its tiles
        self._tile = 0

    @classmethod
    def of(cls, share: float, trained: Trained) -> "Reuse":
        """Deep features kept for a share of the timesteps that a model was trained on."""
        return cls(share * len(trained.sigmas))

    def begin(self, timestep: float, rows: int) -> bool:
        """Begin an evaluation of so many rows; whether it is whole.

        Fewer rows than before, as where guidance ends, are the last of those; more of them need a whole one.
        """
        self._tile = 0
        if self._span > 0 and rows <= self._rows and abs(self._timestep - timestep) <= self._span + 1e-6:
            return False
        self._timestep, self._rows, self._features = timestep, rows, []
        return True

    def keep(self, features: Array) -> None:
        """Keep what a whole evaluation's next tile left, (rows, C, h, w)."""
        if self._span > 0:
            self._features.append(features)

    def take(self, rows: int) -> Array:
        """The features of the next tile, (rows, C, h, w)."""
        self._tile += 1
        return self._features[self._tile - 1][-rows:]
