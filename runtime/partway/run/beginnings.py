"""Where a run begins: latents with their noise, and what estimates the picture under it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partway.diffusion.dials import Part
from partway.diffusion.noise import GENERATORS, slerp
from partway.diffusion.sampling import Array, Denoiser
from partway.model.encoders import Encoders
from partway.model.networks import Posterior
from partway.pictures import images, masks, previews
from partway.run.denoising import denoiser
from partway.run.starts import Start
from partway.settings import Settings


class Beginning(NamedTuple):
    """What the loop needs.

    x        latents with their noise, (B, C, h, w)
    denoise  what estimates the clean latents
    normal   draws further standard normals like x, each picture's from the stream of its seed
    colours  the map of latents to colours for previews, (C + 1, 3)
    """

    x: Array
    denoise: Denoiser
    normal: Callable[[], Array]
    colours: Array


def begin(
    encoders: Encoders, prompt: str, start: Start, settings: Settings, part: Part, *, reads_image: bool
) -> Beginning:
    """Encodes prompt and picture, and draws the noise in diffusers' order: posterior, start noise, sampler noise."""
    networks, package = encoders.networks, encoders.networks.package
    shape = package.latent_shape(*start.size)
    streams = [GENERATORS[settings.rng](seed) for seed in settings.seeds]

    def normal() -> Array:
        return np.concatenate([stream.normal(shape) for stream in streams])

    def sampled(posterior: Posterior) -> Array:
        return networks.to_latents(posterior, normal() if posterior.std is not None else posterior.mean)

    conditioning = encoders.conditioning(prompt, settings, shape)
    colours = previews.STABLE_DIFFUSION
    known = np.zeros((len(streams), *shape[1:]), np.float32)
    edit, picture = start.edit, start.picture
    if picture is not None:
        pixels = images.pad(picture.pixels, package.multiple)
    if start.latents is not None:
        known = start.latents.repeated(len(streams)).values
        if start.untouched:
            seen = images.pad(images.read(start.untouched[0]).pixels, package.multiple)
            colours = previews.fit(known[0], seen[0])
    elif picture is not None and reads_image:
        posterior = encoders.posterior(pixels)
        if package.guidance == "instruction":
            posterior = posterior.mode
        known = sampled(posterior)
        colours = previews.fit(known[0], pixels[0])
    if start.latents is not None and start.latents.sigma:
        x = known  # with the noise that the other run left
    else:
        noise = normal()
        if settings.variation_strength:
            other = GENERATORS[settings.rng](settings.variation_seed).normal(shape)
            noise = slerp(noise, other, settings.variation_strength)
        x = part.image * known + part.noise * noise
    if package.guidance == "instruction":
        denoise = denoiser(networks, conditioning, settings, np.repeat(posterior.mean, len(streams), axis=0))
    elif edit is None:
        denoise = denoiser(networks, conditioning, settings)
    else:
        weights = edit.padded(package.multiple)
        cells = masks.of_latents(weights, package.vae_scale_factor)
        if package.inpaints:
            left = sampled(encoders.posterior(pixels * (weights < 0.5)))
            denoise = denoiser(networks, conditioning, settings, masks.inpainting_channels(cells, left, len(streams)))
        else:
            sampled(posterior)  # diffusers draws the rest's posterior here, also where it has no use for it
            denoise = masks.keeping(denoiser(networks, conditioning, settings), known, noise, cells, part)
    return Beginning(x, denoise, normal, colours)
