"""Noise of one Brownian path, so that the same seed means the same picture whatever the number of steps.

Samplers ask for the noise of a step. Drawn afresh for each, it has nothing to do with that of a run with more steps.
Taken as the increments of one path over sigma, as k-diffusion does, the noise of a step is that of its halves, added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.sampling import Noise

Array = NDArray[np.float32]

_DEPTH = 32  # halvings: down to 1e-6 even where the highest sigma is 4096, as with zero terminal SNR


@dataclass(frozen=True)
class Path:
    """One Brownian path from sigma 0 to ``top``, for latents of ``shape``, the seed's own.

    It is evaluated anywhere, in any order, from nothing but the seed: Levy's and Ciesielski's sum of hat functions,
    each with a normal of its own (Karatzas & Shreve 1991, section 2.3). ``seed``: -2**63 .. 2**64 - 1.
    """

    seed: int
    shape: tuple[int, ...]
    top: float

    def noise(self, sigma: float, to: float) -> Array:
        """Standard normals for the step from ``sigma`` down to ``to``, top >= sigma > to >= 0."""
        start, end = to / self.top, sigma / self.top
        rise = (self._at(end) - self._at(start)) / sqrt(end - start)
        return rise.astype(np.float32)

    def _at(self, time: float) -> NDArray[np.float64]:
        """The path at a time in [0, 1]."""
        value = time * self._normal(0, 0)
        for level in range(_DEPTH):
            scaled = time * 2**level
            index = int(scaled)
            height = 1 - abs(2 * (scaled - index) - 1)
            if height == 0:  # an end of this interval, and so of all the finer ones
                break
            value += 2 ** (-level / 2 - 1) * height * self._normal(level + 1, index)
        return value

    def _normal(self, level: int, index: int) -> NDArray[np.float64]:
        # RandomState is the NumPy generator whose stream is promised never to change (NEP 19).
        seed = self.seed % 2**64
        return np.random.RandomState([seed % 2**32, seed >> 32, level, index]).standard_normal(self.shape)


def paths(seeds: Sequence[int], shape: tuple[int, ...], top: float) -> Noise:
    """The noise of one path for each seed, side by side: (B, C, h, w) for a ``shape`` of (1, C, h, w).

    ``top`` should not depend on steps or strength, which is what makes the noise the same for all of them.
    """
    each = [Path(seed, shape, top) for seed in seeds]
    return lambda sigma, to: np.concatenate([path.noise(sigma, to) for path in each])
