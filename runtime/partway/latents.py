"""Latents on their way from one run to another, which may be another model's: no picture in between, so no loss."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError
from partway.plans import Plan
from partway.settings import Settings

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Latents:
    """Where a run ended before its end, for another run to go on from.

    x      (B, C, h, w): latents plus ``sigma`` times their noise
    sigma  the noise that is left in them
    size   (width, height) of the pictures, in pixels
    """

    x: Array
    sigma: float
    size: tuple[int, int]


def check(latents: Latents | None, settings: Settings, plan: Plan, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless a run with this plan goes on exactly where the latents, if any, were left.

    shape: (1, C, h, w), that of one picture's latents in the model that goes on.
    """
    if latents is None:
        if settings.denoising_start is not None:
            raise InputError("denoising_start goes on from another run's latents; give those, or leave it out")
        return
    if settings.denoising_start is None:
        raise InputError("latents still have noise in them; give the denoising_end they have as denoising_start")
    wanted = (len(settings.seeds), *shape[1:])
    if latents.x.shape != wanted:
        raise InputError(
            f"these latents are {_by(latents.x.shape)}, and {_by(wanted)} are due; give as many seeds as there are "
            "pictures in them, and a model with latents of the same kind"
        )
    if not np.isclose(latents.sigma, plan.start_sigma, rtol=1e-3):
        raise InputError(
            f"these latents were left at sigma {latents.sigma:.4f} and this run starts at {plan.start_sigma:.4f}; "
            "use the same steps and schedule, and that run's denoising_end as denoising_start"
        )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
