"""Noise levels, and the noise levels that a model was trained on.

Everything is in the variance-exploding variable ``x = x0 + sigma * noise`` of Karras et al. 2022
(arXiv 2206.00364); a model trained as ``sqrt(a) * x0 + sqrt(1 - a) * noise`` is the same thing with
``sigma = sqrt((1 - a) / a)``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partway.errors import InputError

Doubles = NDArray[np.float64]

_MOST = 100_000  # steps; models are trained on 1000


class NoiseLevel(NamedTuple):
    """One noise level under its two names, passed together so that they cannot be mixed up."""

    sigma: float  # what samplers use
    timestep: float  # what the network takes


@dataclass(frozen=True, eq=False)
class Trained:
    """The noise levels that a model was trained on.

    ``sigmas``: (T,) strictly increasing, at timesteps 0 .. T - 1. ``steps_offset``: what the schedule "leading" adds to
    timesteps.
    """

    sigmas: Doubles
    steps_offset: int = 1

    def sigma(self, timestep: float | Doubles) -> Doubles:
        """Sigma at a fractional timestep in [-1, T - 1], interpolated linearly as in diffusers; at -1 it is 0."""
        return np.interp(np.asarray(timestep), np.arange(-1, len(self.sigmas)), [0.0, *self.sigmas])

    def timestep(self, sigma: float | Doubles) -> Doubles:
        """The inverse of `sigma`: a fractional timestep in [-1, T - 1]."""
        return np.interp(np.asarray(sigma), [0.0, *self.sigmas], np.arange(-1, len(self.sigmas)))

    def level(self, sigma: float) -> NoiseLevel:
        """The level of a sigma between the trained ones."""
        return NoiseLevel(sigma, max(float(self.timestep(sigma)), 0.0))


def trained(
    beta_schedule: str = "scaled_linear",
    beta_start: float = 0.00085,
    beta_end: float = 0.012,
    train_steps: int = 1000,
    *,
    betas: ArrayLike | None = None,
    zero_terminal_snr: bool = False,
    steps_offset: int = 1,
) -> Trained:
    """The levels that the fields of a diffusers ``scheduler_config.json`` describe; the defaults are SD 1.5's.

    It repeats torch's float32 arithmetic, so that sigmas equal diffusers' to the last bit or the one before.

    betas              (T,), ``trained_betas`` in the file; they replace the name, start, end and number of steps
    zero_terminal_snr  applies Algorithm 1 of Lin et al. 2023 (arXiv 2305.08891), with 4096 for its infinite last
                       sigma (a cumulative alpha of 2**-24), as in diffusers

    Raises `InputError` for an unknown ``beta_schedule``, for betas outside (0, 1), and where they leave no picture.
    """
    rates = _beta_schedule(beta_schedule, beta_start, beta_end, train_steps) if betas is None else _trained_betas(betas)
    if zero_terminal_snr:
        roots = np.sqrt(_cumulative_product(1 - rates))
        roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
        cumulative = roots**2
        rates = 1 - np.concatenate([cumulative[:1], cumulative[1:] / cumulative[:-1]])
        alphas = _cumulative_product(1 - rates)
        alphas[-1] = 2.0**-24
    else:
        alphas = _cumulative_product(1 - rates)
    if not (alphas > 0).all():
        raise InputError(f"nothing but noise is left long before the last of {len(alphas)} steps: no training schedule")
    return Trained(np.sqrt((1 - alphas) / alphas).astype(np.float64), steps_offset)


def _beta_schedule(name: str, start: float, end: float, steps: int) -> NDArray[np.float32]:
    if not 2 <= steps <= _MOST or not 0 < start <= end < 1:
        raise InputError(f"betas from {start} to {end} in {steps} steps are no training schedule")
    if name == "scaled_linear":
        return _float32_linspace(start**0.5, end**0.5, steps) ** 2
    if name == "linear":
        return _float32_linspace(start, end, steps)
    if name == "squaredcos_cap_v2":  # Nichol & Dhariwal 2021, arXiv 2102.09672
        edges = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.minimum(1 - edges[1:] / edges[:-1], 0.999).astype(np.float32)
    raise InputError(f"unknown beta_schedule {name!r}; known: scaled_linear, linear, squaredcos_cap_v2")


def _trained_betas(betas: ArrayLike) -> NDArray[np.float32]:
    try:
        values = np.asarray(betas, np.float32)
    except (TypeError, ValueError):
        values = np.zeros(0, np.float32)
    if values.ndim != 1 or len(values) < 2 or not ((values > 0) & (values < 1)).all():
        raise InputError("trained_betas must be a list of two or more numbers between 0 and 1")
    return values


def _float32_linspace(start: float, end: float, count: int) -> NDArray[np.float32]:
    """torch.linspace, which is symmetric about its middle and fuses multiply-adds (here in float64, rounded once)."""
    step = float((np.float32(end) - np.float32(start)) / np.float32(count - 1))
    index = np.arange(count)
    values = np.where(
        index < count // 2,
        float(np.float32(start)) + step * index,
        float(np.float32(end)) - step * (count - 1 - index),
    )
    return values.astype(np.float32)


def _cumulative_product(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """torch.cumprod on a CPU, which accumulates in float64."""
    return np.cumprod(values, dtype=np.float64).astype(np.float32)
