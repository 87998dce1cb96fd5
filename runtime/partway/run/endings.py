"""Where a run ends: the latents that it arrived at, and the pictures of them."""

from PIL import Image

from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.sampling import State
from partway.model.networks import Networks
from partway.pictures.colours import Drift
from partway.run.latents import Latents
from partway.run.planned import Planned

Pictures = tuple[list[Image.Image], tuple[Drift, ...]]


def arrived(planned: Planned, state: State, *, early: bool) -> Latents:
    """The latents at the end of the loop.

    Clean latents, or the last estimate of them after an ``early`` end; of a run with a denoising_end, latents that
    still have the noise of its last level.
    """
    package, start, sigma = planned.package, planned.start, planned.plan.levels[-1].sigma
    if planned.settings.denoising_end is not None:
        return Latents(state.x, package.latent_scale, start.size, start.picture, sigma)
    clean = state.past[-1].denoised if early else state.x * PREDICTIONS[package.prediction].scale(sigma)
    return Latents(clean, package.latent_scale, start.size, start.picture)


def decoded(networks: Networks, planned: Planned, latents: Latents) -> Pictures:
    """The pictures of clean latents, finished, and their drift."""
    pixels = networks.decode_image(latents.values)
    return planned.start.finish(pixels, planned.settings.colour_match, reads_image=planned.plan.reads_image)


def unchanged(networks: Networks, planned: Planned) -> tuple[Pictures, Latents | None]:
    """What strength 0 returns: what it was given, decoded where that was not done yet."""
    start, handed_on = planned.start, planned.start.latents
    latents = None if handed_on is None else handed_on.repeated(planned.pictures)
    if latents is not None and planned.plan.calls[networks.decoder]:
        pixels = networks.decode_image(latents.values)
        return start.finish(pixels, planned.settings.colour_match), latents
    return (start.copies(planned.pictures), ()), latents
