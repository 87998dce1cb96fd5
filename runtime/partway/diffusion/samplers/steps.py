"""Pieces that samplers share: slopes, Euler steps, ancestral steps and ratios of steps."""

from math import log, sqrt

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Array, Evaluation

CLOSEST = 0.1  # of a step; see `step_ratio`
SHORT = 15  # steps; a run of fewer is short for `lowered`


def slope(at: Evaluation) -> Array:
    """The derivative dx/dsigma of the probability-flow ODE, which is the predicted noise (k-diffusion's ``to_d``)."""
    return (at.x - at.denoised) * (1 / at.level.sigma)


def euler_step(at: Evaluation, sigma: float) -> Array:
    """x after one Euler step from the evaluation's level to ``sigma``."""
    return at.denoised + (at.x - at.denoised) * (sigma / at.level.sigma)


def ancestral_step(now: NoiseLevel, sigma: float, eta: float) -> tuple[float, float]:
    """(sigma_down, sigma_up): the sigma to step down to, and how much noise to add to arrive at ``sigma``.

    Their squares sum to the square of ``sigma``. With ``eta`` 1 this is the ancestral step of Ho et al. 2020
    (arXiv 2006.11239); with 0 it adds no noise.
    """
    sigma_up = eta * sigma * sqrt(1 - (sigma / now.sigma) ** 2)
    return sqrt(sigma**2 - sigma_up**2), sigma_up


def step_ratio(before: NoiseLevel, now: NoiseLevel, to: NoiseLevel) -> float:
    """Length in log sigma of the step from ``before`` to ``now``, over that of the step from ``now``; at least 0.1.

    Strength can start a run just above a level of the grid, which makes the first step tiny. A difference over that
    step, divided by its length, would be the network's rounding error enlarged. The lower bound gives the difference
    less weight the shorter the step is, so that the picture stays continuous in strength.
    """
    return max(log(before.sigma / now.sigma) / log(now.sigma / to.sigma), CLOSEST)


def lowered(order: int, final: str, ahead: int, steps: int) -> int:
    """The order of a step with so many steps ahead of it, in a schedule of ``steps`` steps.

    Where ``final`` has the word "short", diffusers' ``lower_order_final``, the last step of a short schedule has order
    1 and the one before it 2 at most. With the word "euler" the last step of every schedule has order 1.
    """
    short = "short" in final and steps < SHORT
    if ahead == 0 and (short or "euler" in final):
        return 1
    return min(order, 2) if ahead == 1 and short else order
