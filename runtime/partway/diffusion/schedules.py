"""Schedules: the noise levels that a run steps through.

A schedule is a function ``(trained, steps) -> Schedule``; to add one, add a function and a row of `SCHEDULES`.
`partway.diffusion.grids` has the record and the parts that these functions share.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.grids import (
    Schedule,
    at_sigmas,
    at_timesteps,
    beta_quantile,
    evenly_spaced,
    log_interpolated,
    on_grid,
)
from partway.diffusion.levels import Trained

Spacing = Callable[[Trained, int], Schedule]


# -- by timestep


def leading(trained: Trained, steps: int) -> Schedule:
    """Whole multiples of T // steps from the clean end, as diffusers' Euler and DDIM define "leading"."""
    return on_grid(trained, steps, np.arange(steps) * (len(trained.sigmas) // steps) + trained.steps_offset)


def ddim_uniform(trained: Trained, steps: int) -> Schedule:
    """A1111's "DDIM" and ComfyUI's grid: whole multiples of T // steps, plus 1 whatever the model's own offset.

    Where ``steps`` does not divide T, those tools take one step more than was asked for; this function does not.
    """
    return leading(replace(trained, steps_offset=1), steps)


def leading_dpm(trained: Trained, steps: int) -> Schedule:
    """Whole multiples of T // (steps + 1): what diffusers' DPMSolverMultistep and UniPC call "leading"."""
    stride = len(trained.sigmas) // (steps + 1)
    return on_grid(trained, steps, np.arange(1, steps + 1) * stride + trained.steps_offset)


def trailing(trained: Trained, steps: int) -> Schedule:
    """Timesteps counted from the noisiest level, which Turbo, Lightning and zero-terminal-SNR models need."""
    count = len(trained.sigmas)
    return on_grid(trained, steps, np.round(count - np.arange(steps)[::-1] * (count / steps)) - 1)


def linspace(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced fractional timesteps from the noisiest level to the cleanest, as in diffusers' Euler."""
    return evenly_spaced(trained, steps)


def linspace_dpm(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced timesteps, rounded, without the cleanest: diffusers' "linspace" of DPMSolverMultistep and UniPC."""
    return on_grid(trained, steps, np.round(np.linspace(0, len(trained.sigmas) - 1, steps + 1))[1:])


def simple(trained: Trained, steps: int) -> Schedule:
    """Every T / steps-th trained level from the noisiest one, as ComfyUI defines it."""
    count = len(trained.sigmas)
    return on_grid(trained, steps, count - 1 - np.floor(np.arange(steps)[::-1] * (count / steps)))


def sgm_uniform(trained: Trained, steps: int) -> Schedule:
    """Evenly spaced timesteps from the noisiest level, without the cleanest (Stability's generative-models)."""
    return at_timesteps(trained, np.linspace(len(trained.sigmas) - 1, 0, steps + 1)[:-1])


def beta_comfyui(trained: Trained, steps: int) -> Schedule:
    """Fractional timesteps at even quantiles of Beta(0.6, 0.6) (Lee et al. 2024, arXiv 2407.12173)."""
    quantiles = beta_quantile(np.linspace(1, 0, steps, endpoint=False))
    return at_timesteps(trained, quantiles * (len(trained.sigmas) - 1))


def lcm(trained: Trained, steps: int) -> Schedule:
    """Every 20th timestep, thinned out: the grid that latent consistency models were distilled on.

    That grid has 50 timesteps; for more steps this is `trailing`.
    """
    origin = lcm_grid(trained)
    if steps > len(origin):
        return trailing(trained, steps)
    return on_grid(trained, steps, thinned(origin, steps)[::-1])


def lcm_grid(trained: Trained) -> NDArray[np.int64]:
    """The 50 timesteps, noisiest first, that latent consistency models were distilled on."""
    return np.arange(len(trained.sigmas) - 1, 0, -(len(trained.sigmas) // 50))


def thinned(grid: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """``steps`` of a grid's timesteps, evenly spread from its first on."""
    return grid[np.floor(np.linspace(0, len(grid), steps, endpoint=False)).astype(int)]


# -- by sigma


def karras(trained: Trained, steps: int, *, rho: float = 7.0) -> Schedule:
    """Karras et al. 2022 (arXiv 2206.00364), equation 5, over the whole range of trained sigmas."""
    low, high = trained.sigmas[0] ** (1 / rho), trained.sigmas[-1] ** (1 / rho)
    return at_sigmas(trained, np.linspace(high, low, steps) ** rho)


def exponential(trained: Trained, steps: int) -> Schedule:
    """Sigmas evenly spaced in log sigma over the whole range of trained sigmas."""
    low, high = np.log(trained.sigmas[0]), np.log(trained.sigmas[-1])
    return at_sigmas(trained, np.exp(np.linspace(high, low, steps)))


def polyexponential(trained: Trained, steps: int, *, rho: float = 1.0) -> Schedule:
    """Log sigma follows a power of even spacing (k-diffusion); with ``rho`` 1, its default, that is `exponential`."""
    low, high = np.log(trained.sigmas[0]), np.log(trained.sigmas[-1])
    return at_sigmas(trained, np.exp(np.linspace(1, 0, steps) ** rho * (high - low) + low))


def kl_optimal(trained: Trained, steps: int) -> Schedule:
    """Sigmas evenly spaced in arctan sigma (Sabour et al. 2024, arXiv 2404.14507, equation for optimal KL)."""
    return at_sigmas(trained, np.tan(np.linspace(np.arctan(trained.sigmas[-1]), np.arctan(trained.sigmas[0]), steps)))


def beta(trained: Trained, steps: int) -> Schedule:
    """Sigmas at even quantiles of Beta(0.6, 0.6), as in diffusers and A1111 (after Lee et al. 2024)."""
    low, high = trained.sigmas[0], trained.sigmas[-1]
    return at_sigmas(trained, low + beta_quantile(np.linspace(1, 0, steps)) * (high - low))


_AYS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_AYS_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


def align_your_steps(trained: Trained, steps: int) -> Schedule:
    """Align Your Steps for Stable Diffusion 1.x (Sabour et al. 2024, arXiv 2404.14507), its ten steps interpolated."""
    return log_interpolated(trained, steps, _AYS)


def align_your_steps_xl(trained: Trained, steps: int) -> Schedule:
    """Align Your Steps for Stable Diffusion XL (Sabour et al. 2024, arXiv 2404.14507), its ten steps interpolated."""
    return log_interpolated(trained, steps, _AYS_XL)


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
