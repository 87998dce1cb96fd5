"""Schedules: the noise levels that a run steps through.

A schedule is a function ``(trained, steps) -> Schedule``; adding one is adding a function and a row of `SCHEDULES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.levels import Doubles, NoiseLevel, Trained
from partway.errors import InputError


@dataclass(frozen=True, eq=False)
class Schedule:
    """The levels of a run, noisiest first; n levels that are evaluated and the one it ends on.

    ``sigmas``: (n + 1,) strictly decreasing, the last may be 0. ``timesteps``: (n + 1,) in [0, T - 1].
    Raises `InputError` for sigmas that do not decrease or are negative or not finite.
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


Spacing = Callable[[Trained, int], Schedule]


# -- spacings


def leading(trained: Trained, steps: int) -> Schedule:
    """Whole multiples of T // steps from the clean end, as diffusers' Euler and DDIM define "leading"."""
    return _on_grid(trained, steps, np.arange(steps) * (len(trained.sigmas) // steps) + trained.steps_offset)


def ddim_uniform(trained: Trained, steps: int) -> Schedule:
    """A1111's "DDIM" and ComfyUI's grid: whole multiples of T // steps, plus 1 whatever the model's own offset.

    Theirs has a step more than was asked for where ``steps`` does not divide T; this one does not.
    """
    return leading(replace(trained, steps_offset=1), steps)


def leading_dpm(trained: Trained, steps: int) -> Schedule:
    """Diffusers' DPMSolverMultistep and UniPC count one step more for the same word: T // (steps + 1)."""
    stride = len(trained.sigmas) // (steps + 1)
    return _on_grid(trained, steps, np.arange(1, steps + 1) * stride + trained.steps_offset)


def trailing(trained: Trained, steps: int) -> Schedule:
    """Counted from the noisiest level; what Turbo, Lightning and zero-terminal-SNR models need."""
    count = len(trained.sigmas)
    return _on_grid(trained, steps, np.round(count - np.arange(steps)[::-1] * (count / steps)) - 1)


def linspace(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced fractional timesteps from the noisiest level to the cleanest, as diffusers' Euler."""
    return _at_timesteps(trained, np.linspace(0, len(trained.sigmas) - 1, steps)[::-1])


def linspace_dpm(trained: Trained, steps: int) -> Schedule:
    """Diffusers' DPMSolverMultistep and UniPC round "linspace" and leave out its cleanest level."""
    return _on_grid(trained, steps, np.round(np.linspace(0, len(trained.sigmas) - 1, steps + 1))[1:])


def lcm(trained: Trained, steps: int) -> Schedule:
    """Every 20th timestep, thinned out: the grid that latent consistency models were distilled on.

    With more steps than that grid has (50), the same as `trailing`.
    """
    origin = lcm_grid(trained)
    if steps > len(origin):
        return trailing(trained, steps)
    return _on_grid(trained, steps, thinned(origin, steps)[::-1])


def lcm_grid(trained: Trained) -> NDArray[np.int64]:
    """The 50 timesteps, noisiest first, that latent consistency models were distilled on."""
    return np.arange(len(trained.sigmas) - 1, 0, -(len(trained.sigmas) // 50))


def thinned(grid: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """``steps`` of a grid's timesteps, evenly spread from its first on."""
    return grid[np.floor(np.linspace(0, len(grid), steps, endpoint=False)).astype(int)]


def karras(trained: Trained, steps: int, *, rho: float = 7.0) -> Schedule:
    """Karras et al. 2022, equation 5, over the whole range of trained sigmas."""
    low, high = trained.sigmas[0] ** (1 / rho), trained.sigmas[-1] ** (1 / rho)
    return at_sigmas(trained, np.linspace(high, low, steps) ** rho)


def exponential(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced in log sigma over the whole range of trained sigmas."""
    low, high = np.log(trained.sigmas[0]), np.log(trained.sigmas[-1])
    return at_sigmas(trained, np.exp(np.linspace(high, low, steps)))


def polyexponential(trained: Trained, steps: int, *, rho: float = 1.0) -> Schedule:
    """Log sigma follows a power of even spacing (k-diffusion); with ``rho`` 1, its default, that is `exponential`."""
    low, high = np.log(trained.sigmas[0]), np.log(trained.sigmas[-1])
    return at_sigmas(trained, np.exp(np.linspace(1, 0, steps) ** rho * (high - low) + low))


def kl_optimal(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced in arctan sigma (Sabour et al. 2024, arXiv 2404.14507, equation for optimal KL)."""
    return at_sigmas(trained, np.tan(np.linspace(np.arctan(trained.sigmas[-1]), np.arctan(trained.sigmas[0]), steps)))


def beta(trained: Trained, steps: int) -> Schedule:
    """Sigmas at even quantiles of Beta(0.6, 0.6), as diffusers and A1111 have it (after Lee et al. 2024)."""
    low, high = trained.sigmas[0], trained.sigmas[-1]
    return at_sigmas(trained, low + _beta_quantile(np.linspace(1, 0, steps)) * (high - low))


def beta_comfyui(trained: Trained, steps: int) -> Schedule:
    """Timesteps at even quantiles of Beta(0.6, 0.6) (Lee et al. 2024, arXiv 2407.12173), fractions kept."""
    quantiles = _beta_quantile(np.linspace(1, 0, steps, endpoint=False))
    return _at_timesteps(trained, quantiles * (len(trained.sigmas) - 1))


def sgm_uniform(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced timesteps from the noisiest level, the cleanest left out (Stability's generative-models)."""
    return _at_timesteps(trained, np.linspace(len(trained.sigmas) - 1, 0, steps + 1)[:-1])


def simple(trained: Trained, steps: int) -> Schedule:
    """Every T / steps-th trained level from the noisiest one, as ComfyUI defines it."""
    count = len(trained.sigmas)
    return _on_grid(trained, steps, count - 1 - np.floor(np.arange(steps)[::-1] * (count / steps)))


def align_your_steps(trained: Trained, steps: int) -> Schedule:
    """Align Your Steps for Stable Diffusion 1.x (Sabour et al. 2024, arXiv 2404.14507), its ten steps interpolated."""
    return _interpolated(trained, steps, _AYS)


def align_your_steps_xl(trained: Trained, steps: int) -> Schedule:
    """Align Your Steps for Stable Diffusion XL (Sabour et al. 2024, arXiv 2404.14507)."""
    return _interpolated(trained, steps, _AYS_XL)


@dataclass(frozen=True)
class Given:
    """A schedule that the user wrote down: sigmas, or timesteps, noisiest first. It ends on sigma 0, given or not.

    Raises `InputError` for an empty list, for values that do not decrease, and when asked for other than its ``steps``.
    """

    values: tuple[float, ...]
    timesteps: bool = False

    def __post_init__(self) -> None:
        kind = "timesteps" if self.timesteps else "sigmas"
        if self.steps < 1 or self.values[-1] < 0 or not all(a > b for a, b in pairwise(self.values)):
            raise InputError(f"{kind} must be numbers that decrease, the first above 0, not {self.values}")

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.values) - (not self.timesteps and self.values[-1:] == (0.0,))

    @property
    def __name__(self) -> str:
        return ("timesteps " if self.timesteps else "sigmas ") + ",".join(map(repr, self.values))

    def __call__(self, trained: Trained, steps: int) -> Schedule:
        """The schedule, for its own number of steps."""
        if steps != self.steps:
            raise InputError(f"the list has {self.steps} steps, not {steps}; give a schedule by name for any number")
        if not self.timesteps:
            return at_sigmas(trained, self.values)
        if self.values[0] > len(trained.sigmas) - 1:
            raise InputError(f"timesteps go up to {len(trained.sigmas) - 1} in this model, not {self.values[0]:g}")
        sigmas = np.append(trained.sigma(np.array(self.values)), 0.0)
        return Schedule(sigmas, np.append(self.values, 0.0))


def at_sigmas(trained: Trained, sigmas: Sequence[float] | Doubles) -> Schedule:
    """The schedule through given sigmas, noisiest first; a final 0 is added where it is missing."""
    sigmas = np.asarray(sigmas, np.float64)
    if sigmas[-1] > 0:
        sigmas = np.append(sigmas, 0.0)
    return Schedule(sigmas, np.maximum(trained.timestep(sigmas), 0.0))


_AYS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_AYS_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


def _interpolated(trained: Trained, steps: int, table: tuple[float, ...]) -> Schedule:
    """A published table, its ends moved to the model's own, interpolated in log sigma to any number of steps."""
    logs = np.log(table)
    low, high = np.log(trained.sigmas[[0, -1]])
    logs = low + (logs - logs[-1]) * ((high - low) / (logs[0] - logs[-1]))
    places = np.linspace(0, len(table) - 1, steps + 1)[:-1]
    return at_sigmas(trained, np.exp(np.interp(places, np.arange(len(table)), logs)))


def _beta_quantile(shares: Doubles) -> Doubles:
    """The inverse of the cumulative Beta(0.6, 0.6), to 1e-7.

    In y = x ** 0.6 the density of the lower half has no pole; the upper half is its mirror image.
    """
    edge = np.linspace(0, 0.5**0.6, 8193)
    middle = (edge[1:] + edge[:-1]) / 2
    density = (1 - middle ** (1 / 0.6)) ** -0.4
    mass = np.append(0.0, np.cumsum(density))
    lower = np.minimum(shares, 1 - shares)
    x = np.interp(lower, mass / (2 * mass[-1]), edge) ** (1 / 0.6)
    return np.where(shares <= 0.5, x, 1 - x)


def _on_grid(trained: Trained, steps: int, ascending: NDArray[Any]) -> Schedule:
    """A schedule through whole timesteps, given cleanest first."""
    if steps == 1:
        # A single step has to start from the noisiest level: the grids that count from the clean end
        # (in diffusers too) would denoise pure noise as if it were an almost finished picture.
        ascending = np.array([len(trained.sigmas) - 1])
    elif steps > len(trained.sigmas) // 2:
        return linspace(trained, steps)  # whole timesteps no longer tell that many levels apart
    return _at_timesteps(trained, ascending[::-1])


def _at_timesteps(trained: Trained, timesteps: NDArray[Any]) -> Schedule:
    if len(timesteps) == 1:
        timesteps = np.array([len(trained.sigmas) - 1])
    timesteps = np.append(timesteps.astype(np.float64), 0.0)
    sigmas = trained.sigma(timesteps)
    sigmas[-1] = 0.0
    return Schedule(sigmas, timesteps)


SCHEDULES: dict[str, Spacing] = {
    "leading": leading,
    "ddim_uniform": ddim_uniform,
    "leading_dpm": leading_dpm,
    "trailing": trailing,
    "linspace": linspace,
    "linspace_dpm": linspace_dpm,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "polyexponential": polyexponential,
    "kl_optimal": kl_optimal,
    "beta": beta,
    "beta_comfyui": beta_comfyui,
    "ays": align_your_steps,
    "ays_xl": align_your_steps_xl,
    "lcm": lcm,
}


def spacing_of(schedule: str | Spacing) -> Spacing:
    """A row of the table by name, ``sigmas 14.6,3,0.5`` or ``timesteps 999,500`` as written, or the function itself.

    Raises `InputError` for a list that is none, KeyError for a name that is not in the table.
    """
    if not isinstance(schedule, str):
        return schedule
    kind, _, numbers = schedule.partition(" ")
    if kind not in ("sigmas", "timesteps"):
        return SCHEDULES[schedule]
    try:
        values = tuple(map(float, numbers.split(",")))
    except ValueError:
        raise InputError(f"{kind} are numbers with commas between, like 14.6,3,0.5, not {numbers!r}") from None
    return Given(values, timesteps=kind == "timesteps")
