"""Pieces that samplers share: slopes, Euler steps, the split of a step into decay and fresh noise, step ratios."""

from math import log, sqrt

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Array, Evaluation

CLOSEST = 0.1  # of a step; see `step_ratio`


def slope(at: Evaluation) -> Array:
    """dx/dsigma of the probability-flow ODE: the predicted noise."""
    return (at.x - at.denoised) * (1 / at.level.sigma)


def slide(at: Evaluation, sigma: float) -> Array:
    """One Euler step to ``sigma``."""
    return at.denoised + (at.x - at.denoised) * (sigma / at.level.sigma)


def split(now: NoiseLevel, sigma: float, eta: float) -> tuple[float, float]:
    """(kept, fresh): how far the noise decays on the way to ``sigma`` and how much is added; squares sum to its square.

    With ``eta`` 1 the ancestral step (Ho et al. 2020, arXiv 2006.11239), with 0 none is added.
    """
    fresh = eta * sigma * sqrt(1 - (sigma / now.sigma) ** 2)
    return sqrt(sigma**2 - fresh**2), fresh


def step_ratio(before: NoiseLevel, now: NoiseLevel, to: NoiseLevel) -> float:
    """Length in log sigma of the step before as a share of this one's, held above 0.1.

    A run that starts a hair above a grid level would otherwise divide the network's rounding error by that hair. The
    difference's weight goes to zero instead, so that strength stays continuous.
    """
    return max(log(before.sigma / now.sigma) / log(now.sigma / to.sigma), CLOSEST)
