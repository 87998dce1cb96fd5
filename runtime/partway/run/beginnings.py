"""Where a run begins: latents with their noise, and what estimates the picture under it."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partway.diffusion.brownian import paths
from partway.diffusion.noise import GENERATORS, slerp
from partway.diffusion.samplers.named import method_of
from partway.diffusion.sampling import Array, Denoiser, Noise
from partway.model.control_evaluator import ControlEvaluator, image_prompt_values
from partway.model.encoders import Encoders
from partway.model.networks import Networks, Posterior
from partway.pictures import images, masks, previews
from partway.run.denoising import denoiser
from partway.run.evaluations import Evaluations
from partway.run.planned import Planned

Draw = Callable[[], Array]  # standard normals for all pictures, (B, C, h, w), each one's from the stream of its seed


class Beginning(NamedTuple):
    """What the loop needs.

    x            latents with their noise, (B, C, h, w)
    denoise      what estimates the clean latents
    evaluations  what counts those of ``denoise``
    noise        what draws the sampler's noise, shaped like x
    colours      the map of latents to colours for previews, (C + 1, 3)
    """

    x: Array
    denoise: Denoiser
    evaluations: Evaluations
    noise: Noise
    colours: Array


class Known(NamedTuple):
    """What the start says of the result, zeros where it says nothing.

    latents    clean ones, scaled, (B, C, h, w), or (1, C, h, w) for all pictures alike
    posterior  of the picture where it was encoded, (1, C, h, w)
    colours    as in `Beginning`
    """

    latents: Array
    posterior: Posterior
    colours: Array


def begin(encoders: Encoders, planned: Planned) -> Beginning:
    """Encode prompts and picture, and draw the noise in diffusers' order: posterior, start noise, sampler noise."""
    package, settings = planned.package, planned.settings
    draw = _stream(planned)
    conditionings = encoders.conditioning(planned.words, planned.guidance_mode, settings, planned.latent_shape)
    known = _known(encoders, planned, draw)
    x, noise = _noised(planned, known, draw)
    sigmas = planned.part.schedule.sigmas
    evaluations = Evaluations(settings, planned.guidance_mode, package.trained, package.control_units, sigmas)
    channels = _channels(encoders, planned, known, draw)
    controls = _controls(encoders, planned)
    networks = replace(encoders.networks, controls=controls)
    denoise = denoiser(networks, conditionings, evaluations, channels, controls)
    edit = planned.start.edit
    if edit is not None and not package.inpaints:
        _sampled(encoders.networks, known.posterior, draw)  # diffusers draws the rest's here, and has no use for it
        denoise = masks.keeping(denoise, known.latents, noise, _latent_mask(edit, planned), planned.part)
    return Beginning(x, denoise, evaluations, _sampler_noise(planned, draw), known.colours)


def _stream(planned: Planned) -> Draw:
    streams = [GENERATORS[planned.settings.rng](seed) for seed in planned.settings.seeds]
    return lambda: np.concatenate([stream.normal(planned.latent_shape) for stream in streams])


def _known(encoders: Encoders, planned: Planned, draw: Draw) -> Known:
    """What a run goes on from: an earlier one's latents, or the picture's where that has a part in the result."""
    package, start = planned.package, planned.start
    nothing, colours = np.zeros(planned.latent_shape, np.float32), previews.STABLE_DIFFUSION
    if start.latents is not None:
        latents = start.latents.repeated(planned.pictures).values
        if start.untouched:
            pixels = images.pad(images.read(start.untouched[0]).pixels, package.multiple)
            colours = previews.fit(latents[0], pixels[0])
        return Known(latents, Posterior(nothing, None), colours)
    if start.picture is None or not planned.plan.reads_image:
        return Known(nothing, Posterior(nothing, None), colours)
    pixels = images.pad(start.picture.pixels, package.multiple)
    posterior = encoders.posterior(pixels)
    if package.guidance == "instruction":
        posterior = posterior.mode
    latents = _sampled(encoders.networks, posterior, draw)
    return Known(latents, posterior, previews.fit(latents[0], pixels[0]))


def _sampled(networks: Networks, posterior: Posterior, draw: Draw) -> Array:
    """Scaled latents of the posterior, drawn unless the encoder has done that."""
    return networks.to_latents(posterior, posterior.mean if posterior.std is None else draw())


def _noised(planned: Planned, known: Known, draw: Draw) -> tuple[Array, Array]:
    """The latents that the first step starts from, and their noise where it was drawn here."""
    settings, part, latents = planned.settings, planned.part, planned.start.latents
    if latents is not None and latents.sigma:  # the run that they are from has left its noise in them
        return known.latents, np.zeros_like(known.latents)
    noise = draw()
    if settings.variation_strength:
        other = GENERATORS[settings.rng](settings.variation_seed).normal(planned.latent_shape)
        noise = slerp(noise, other, settings.variation_strength)
    return part.image * known.latents + part.noise * noise, noise


def _channels(encoders: Encoders, planned: Planned, known: Known, draw: Draw) -> Array | None:
    """What the UNet takes beside the noisy latents: the picture, or the mask and what it leaves of the picture."""
    package, edit = planned.package, planned.start.edit
    if package.guidance == "instruction":
        return np.repeat(known.posterior.mean, planned.pictures, axis=0)
    if edit is None or not package.inpaints:
        return None
    kept = images.pad(edit.picture.pixels, package.multiple) * (edit.padded(package.multiple) < 0.5)
    latents = _sampled(encoders.networks, encoders.posterior(kept), draw)
    return masks.inpainting_channels(_latent_mask(edit, planned), latents, planned.pictures)


def _controls(encoders: Encoders, planned: Planned) -> ControlEvaluator | None:
    """The ControlNets and adapters, each shown its hint at the size of the latents' own."""
    package, prompt = planned.package, planned.package.image_prompt
    if not package.control_units and prompt is None:
        return None
    hints = planned.hints[: len(package.control_units)]
    seen = [one.seen(hint, package.multiple) for one, hint in zip(package.control_units, hints, strict=True)]
    given = {} if prompt is None else image_prompt_values(encoders.networks.engine, prompt, planned.hints[-1])
    return ControlEvaluator(
        package.control_units,
        seen,
        package.config("unet"),
        planned.pictures * planned.guidance_mode.prompt_count,
        given,
    )


def _latent_mask(edit: masks.Edit, planned: Planned) -> Array:
    """The mask of the latents, (1, 1, h, w)."""
    package = planned.package
    return masks.of_latents(edit.padded(package.multiple), package.vae_scale_factor)


def _sampler_noise(planned: Planned, draw: Draw) -> Noise:
    """What the sampler draws: further numbers of the seed's stream, or those of its Brownian path."""
    if not method_of(planned.plan.sampler).path:
        return lambda *_: draw()
    top = float(max(planned.package.trained.sigmas[-1], planned.part.schedule.sigmas[0]))
    return paths(planned.settings.seeds, planned.latent_shape, top)
