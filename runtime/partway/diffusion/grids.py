"""A run's noise levels as arrays, and how they are made from sigmas or from timesteps: what `schedules` builds on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.levels import Doubles, NoiseLevel, Trained
from partway.errors import InputError


@dataclass(frozen=True, eq=False)
class Schedule:
    """The levels of a run, noisiest first: n levels at which steps begin, and the one on which the run ends.

    ``sigmas``: (n + 1,) strictly decreasing; the last may be 0. ``timesteps``: (n + 1,) in [0, T - 1].
    Raises `InputError` for sigmas that do not decrease, are negative or are not finite.
    """

    sigmas: Doubles
    timesteps: Doubles

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.sigmas)) and np.all(np.diff(self.sigmas) < 0) and self.sigmas[-1] >= 0):
            raise InputError("a schedule's sigmas must be finite, decrease strictly and not go below 0")
        self.sigmas.flags.writeable = False
        self.timesteps.flags.writeable = False

    @property
    def steps(self) -> int:
        """How many steps the schedule takes."""
        return len(self.sigmas) - 1

    @property
    def levels(self) -> list[NoiseLevel]:
        """The n + 1 levels as pairs of plain floats."""
        return [NoiseLevel(float(s), float(t)) for s, t in zip(self.sigmas, self.timesteps, strict=True)]

    @property
    def moves(self) -> list[tuple[NoiseLevel, NoiseLevel]]:
        """The n steps, each from one level to the next."""
        return list(pairwise(self.levels))

    def last(self, steps: int) -> "Schedule":
        """The last ``steps`` steps (0 .. n) of this schedule."""
        start = self.steps - steps
        return Schedule(self.sigmas[start:], self.timesteps[start:])

    def first(self, steps: int) -> "Schedule":
        """The first ``steps`` steps (0 .. n) of this schedule."""
        return Schedule(self.sigmas[: steps + 1], self.timesteps[: steps + 1])


def at_sigmas(trained: Trained, sigmas: Sequence[float] | Doubles) -> Schedule:
    """The schedule through these sigmas, noisiest first; it adds a final 0 where that is missing."""
    sigmas = np.asarray(sigmas, np.float64)
    if sigmas[-1] > 0:
        sigmas = np.append(sigmas, 0.0)
    return Schedule(sigmas, np.maximum(trained.timestep(sigmas), 0.0))


def at_timesteps(trained: Trained, timesteps: NDArray[Any]) -> Schedule:
    """The schedule through these timesteps, noisiest first, and to sigma 0; a single step starts at the noisiest."""
    if len(timesteps) == 1:
        timesteps = np.array([len(trained.sigmas) - 1])
    timesteps = np.append(timesteps.astype(np.float64), 0.0)
    sigmas = trained.sigma(timesteps)
    sigmas[-1] = 0.0
    return Schedule(sigmas, timesteps)


def on_grid(trained: Trained, steps: int, ascending: NDArray[Any]) -> Schedule:
    """The schedule through whole timesteps, which are in ``ascending`` order: cleanest first."""
    if steps == 1:
        # A single step has to start from the noisiest level: the grids that count from the clean end
        # (in diffusers too) would denoise pure noise as if it were an almost finished picture.
        ascending = np.array([len(trained.sigmas) - 1])
    elif steps > len(trained.sigmas) // 2:  # too many levels for whole timesteps to tell apart
        return evenly_spaced(trained, steps)
    return at_timesteps(trained, ascending[::-1])


def evenly_spaced(trained: Trained, steps: int) -> Schedule:
    """The schedule through evenly spaced fractional timesteps, from the noisiest to the cleanest."""
    return at_timesteps(trained, np.linspace(0, len(trained.sigmas) - 1, steps)[::-1])


def log_interpolated(trained: Trained, steps: int, table: tuple[float, ...]) -> Schedule:
    """A published table of sigmas, moved so that its ends are the model's, at any number of steps.

    It interpolates linearly in log sigma.
    """
    logs = np.log(table)
    low, high = np.log(trained.sigmas[[0, -1]])
    logs = low + (logs - logs[-1]) * ((high - low) / (logs[0] - logs[-1]))
    places = np.linspace(0, len(table) - 1, steps + 1)[:-1]
    return at_sigmas(trained, np.exp(np.interp(places, np.arange(len(table)), logs)))


def beta_quantile(shares: Doubles) -> Doubles:
    """The quantile function of Beta(0.6, 0.6) at ``shares`` in [0, 1], to 1e-7.

    In y = x ** 0.6 the density of the lower half has no pole; the upper half is its mirror image.
    """
    edge = np.linspace(0, 0.5**0.6, 8193)
    middle = (edge[1:] + edge[:-1]) / 2
    density = (1 - middle ** (1 / 0.6)) ** -0.4
    mass = np.append(0.0, np.cumsum(density))
    lower = np.minimum(shares, 1 - shares)
    x = np.interp(lower, mass / (2 * mass[-1]), edge) ** (1 / 0.6)
    return np.where(shares <= 0.5, x, 1 - x)
