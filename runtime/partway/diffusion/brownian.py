"""Noise from one Brownian path, so that a seed means nearly the same picture at any number of steps.

Noise that a run draws anew for each step has nothing in common with the noise of a run with more steps. Increments of
one path over sigma have: the increment of a step is the sum of those of its halves. k-diffusion calls this
BrownianTreeNoiseSampler; `partway.diffusion.samplers.Method.path` says which samplers use it here.
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
    """The Brownian path of a ``seed`` (-2**63 .. 2**64 - 1) from sigma 0 to ``top``, for latents of ``shape``.

    It stores nothing and can be evaluated anywhere, in any order: it is the sum of Levy and Ciesielski over hat
    functions, each with its own normal (Karatzas & Shreve 1991, section 2.3).
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
            if height == 0:  # the time is an end of this interval, and of all finer ones
                break
            value += 2 ** (-level / 2 - 1) * height * self._normal(level + 1, index)
        return value

    def _normal(self, level: int, index: int) -> NDArray[np.float64]:
        # RandomState is the NumPy generator whose stream is promised never to change (NEP 19).
        seed = self.seed % 2**64
        return np.random.RandomState([seed % 2**32, seed >> 32, level, index]).standard_normal(self.shape)


def paths(seeds: Sequence[int], shape: tuple[int, ...], top: float) -> Noise:
    """A noise function of one path for each seed; it returns (B, C, h, w) for a ``shape`` of (1, C, h, w).

    ``top`` should not depend on steps or strength: then the noise does not either.
    """
    batch = [Path(seed, shape, top) for seed in seeds]
    return lambda sigma, to: np.concatenate([path.noise(sigma, to) for path in batch])
