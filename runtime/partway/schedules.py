"""Noise levels: those a model was trained on, and the ones a run steps through.

Everything is in the variance-exploding variable ``x = x0 + sigma * noise`` of Karras et al. 2022
(arXiv 2206.00364); a model trained as ``sqrt(a) * x0 + sqrt(1 - a) * noise`` is the same thing with
``sigma = sqrt((1 - a) / a)``. A schedule is a function ``(trained, steps) -> Schedule``; adding one is
adding a function and a row of `SCHEDULES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError

Doubles = NDArray[np.float64]


class NoiseLevel(NamedTuple):
    """One noise level under its two names, passed together so that they cannot be mixed up."""

    sigma: float  # what samplers use
    timestep: float  # what the network is told


@dataclass(frozen=True, eq=False)
class Trained:
    """The noise levels that a model was trained on.

    ``sigmas``: (T,) strictly increasing, at timesteps 0 .. T - 1. ``steps_offset``: what `leading` adds.
    """

    sigmas: Doubles
    steps_offset: int = 1

    def sigma(self, timestep: float | Doubles) -> Doubles:
        """Sigma at a fractional timestep in [-1, T - 1]; -1 stands for no noise at all.

        Interpolated linearly in sigma, as diffusers does.
        """
        return np.interp(np.asarray(timestep), np.arange(-1, len(self.sigmas)), [0.0, *self.sigmas])

    def timestep(self, sigma: float | Doubles) -> Doubles:
        """The inverse of `sigma`: a fractional timestep in [-1, T - 1]."""
        return np.interp(np.asarray(sigma), [0.0, *self.sigmas], np.arange(-1, len(self.sigmas)))


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


Spacing = Callable[[Trained, int], Schedule]


# -- what a model was trained on


def trained(
    beta_schedule: str = "scaled_linear",
    beta_start: float = 0.00085,
    beta_end: float = 0.012,
    train_steps: int = 1000,
    *,
    zero_terminal_snr: bool = False,
    steps_offset: int = 1,
) -> Trained:
    """The training levels from the fields of a diffusers ``scheduler_config.json``; the defaults are SD 1.5's.

    Follows torch's float32 arithmetic step by step, so that sigmas equal diffusers' to the last bit or the one before.
    ``zero_terminal_snr`` is Algorithm 1 of Lin et al. 2023 (arXiv 2305.08891), its infinite last sigma
    replaced by 4096 (a cumulative alpha of 2**-24) as in diffusers.
    Raises `InputError` for an unknown ``beta_schedule``.
    """
    if beta_schedule == "scaled_linear":
        betas = _float32_linspace(beta_start**0.5, beta_end**0.5, train_steps) ** 2
    elif beta_schedule == "linear":
        betas = _float32_linspace(beta_start, beta_end, train_steps)
    elif beta_schedule == "squaredcos_cap_v2":  # Nichol & Dhariwal 2021, arXiv 2102.09672
        edges = np.cos((np.arange(train_steps + 1) / train_steps + 0.008) / 1.008 * np.pi / 2) ** 2
        betas = np.minimum(1 - edges[1:] / edges[:-1], 0.999).astype(np.float32)
    else:
        raise InputError(f"unknown beta_schedule {beta_schedule!r}; known: scaled_linear, linear, squaredcos_cap_v2")
    if zero_terminal_snr:
        roots = np.sqrt(_cumulative_product(1 - betas))
        roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
        kept = roots**2
        betas = 1 - np.concatenate([kept[:1], kept[1:] / kept[:-1]])
        alphas = _cumulative_product(1 - betas)
        alphas[-1] = 2.0**-24
    else:
        alphas = _cumulative_product(1 - betas)
    return Trained(np.sqrt((1 - alphas) / alphas).astype(np.float64), steps_offset)


def _float32_linspace(start: float, end: float, count: int) -> NDArray[np.float32]:
    """torch.linspace: symmetric about the middle, with fused multiply-adds (done in float64, rounded once)."""
    step = float((np.float32(end) - np.float32(start)) / np.float32(count - 1))
    index = np.arange(count)
    values = np.where(
        index < count // 2,
        float(np.float32(start)) + step * index,
        float(np.float32(end)) - step * (count - 1 - index),
    )
    return values.astype(np.float32)


def _cumulative_product(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """torch.cumprod on the CPU accumulates in float64."""
    return np.cumprod(values, dtype=np.float64).astype(np.float32)


# -- spacings


def leading(trained: Trained, steps: int) -> Schedule:
    """Whole multiples of T // steps from the clean end, as diffusers' Euler and DDIM define "leading"."""
    return _on_grid(trained, steps, np.arange(steps) * (len(trained.sigmas) // steps) + trained.steps_offset)


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
    origin = np.arange(len(trained.sigmas) - 1, 0, -(len(trained.sigmas) // 50))
    if steps > len(origin):
        return trailing(trained, steps)
    chosen = np.floor(np.linspace(0, len(origin), steps, endpoint=False)).astype(int)
    return _on_grid(trained, steps, origin[chosen][::-1])


def karras(trained: Trained, steps: int, *, rho: float = 7.0) -> Schedule:
    """Karras et al. 2022, equation 5, over the whole range of trained sigmas."""
    low, high = trained.sigmas[0] ** (1 / rho), trained.sigmas[-1] ** (1 / rho)
    return at_sigmas(trained, np.linspace(high, low, steps) ** rho)


def exponential(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced in log sigma over the whole range of trained sigmas."""
    low, high = np.log(trained.sigmas[0]), np.log(trained.sigmas[-1])
    return at_sigmas(trained, np.exp(np.linspace(high, low, steps)))


def at_sigmas(trained: Trained, sigmas: Sequence[float] | Doubles) -> Schedule:
    """The schedule through given sigmas, noisiest first; a final 0 is added where it is missing."""
    sigmas = np.asarray(sigmas, np.float64)
    if sigmas[-1] > 0:
        sigmas = np.append(sigmas, 0.0)
    return Schedule(sigmas, np.maximum(trained.timestep(sigmas), 0.0))


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
    "leading_dpm": leading_dpm,
    "trailing": trailing,
    "linspace": linspace,
    "linspace_dpm": linspace_dpm,
    "karras": karras,
    "exponential": exponential,
    "lcm": lcm,
}
