"""Latents on their way from one run to another, which may be another model's: no picture in between, so no loss."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partway import images
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

    def padded(self, multiple: int) -> "Latents":
        """The latents extended, as pictures are, to a multiple of so many: models differ in what they need."""
        return replace(self, x=images.pad(self.x, multiple))


def check(latents: Latents | None, settings: Settings, plan: Plan, channels: int) -> None:
    """Raise `InputError` unless a run with this plan goes on exactly where the latents, if any, were left.

    channels: of latents in the model that goes on.
    """
    if latents is None:
        if settings.denoising_start is not None:
            raise InputError("denoising_start goes on from another run's latents; give those, or leave it out")
        return
    if settings.denoising_start is None:
        raise InputError("latents still have noise in them; give the denoising_end they have as denoising_start")
    count, found = latents.x.shape[:2]
    if count != len(settings.seeds):
        raise InputError(f"these are the latents of {count} pictures; give as many seeds, not {len(settings.seeds)}")
    if found != channels:
        raise InputError(f"these latents have {found} channels and this model's {channels}; use models of one family")
    if not np.isclose(latents.sigma, plan.start_sigma, rtol=1e-3):
        raise InputError(
            f"these latents were left at sigma {latents.sigma:.4f} and this run starts at {plan.start_sigma:.4f}; "
            "use the same steps and schedule, and that run's denoising_end as denoising_start"
        )
