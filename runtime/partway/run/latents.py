"""Latents handed on from one run to another, which may be another model's, without the loss of decode and encode."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError
from partway.model.package import Package
from partway.pictures import images
from partway.run.plans import Plan
from partway.settings import Settings

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Latents:
    """Where a run ended, at its end or before it, for another run to go on from.

    values   (B, C, h, w): clean latents times ``scale``, plus noise of standard deviation ``sigma``
    scale    the scaling factor of the model's VAE
    size     (width, height) of the pictures that they decode to, in pixels
    source   the picture that the first run of a chain started from; None if that was text-to-image
    sigma    0 for a run that came to its end
    """

    values: Array
    scale: float
    size: tuple[int, int]
    source: images.Picture | None = None
    sigma: float = 0.0

    def repeated(self, pictures: int) -> "Latents":
        """The same in a batch of so many pictures, where there are fewer."""
        return replace(self, values=np.repeat(self.values, pictures // len(self.values), axis=0))

    def fitting(self, package: Package) -> "Latents":
        """The same padded to the multiple of pixels that another model needs.

        Raises `InputError` for latents that are another kind of model's.
        """
        shape = package.latent_shape(*self.size)
        padded = images.pad(self.values, package.multiple // package.vae_scale_factor)[:, :, : shape[2], : shape[3]]
        if self.scale != package.latent_scale or padded.shape[1:] != shape[1:]:
            raise InputError(
                "these are another kind of model's latents, which mean something else here; hand on the image"
            )
        return replace(self, values=padded)


def check(latents: Latents | None, settings: Settings, plan: Plan) -> None:
    """Raise `InputError` unless a run with this plan goes on exactly where the latents, if any, were left."""
    if latents is None:
        if settings.denoising_start is not None:
            raise InputError("denoising_start goes on from another run's latents; give those, or leave it out")
        return
    count = len(latents.values)
    if count != len(settings.seeds) and (count > 1 or latents.sigma):
        raise InputError(f"these are the latents of {count} pictures; give as many seeds, not {len(settings.seeds)}")
    if settings.denoising_start is None:
        if latents.sigma:
            raise InputError("latents still have noise in them; give the denoising_end they have as denoising_start")
    elif not np.isclose(latents.sigma, plan.start_sigma, rtol=1e-3):
        raise InputError(
            f"these latents were left at sigma {latents.sigma:.4f} and this run starts at {plan.start_sigma:.4f}; "
            "use the same steps and schedule, and that run's denoising_end as denoising_start"
        )
