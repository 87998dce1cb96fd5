"""Guidance: functions of a network's outputs, each (B, C, h, w), that give the one output a sampler works with."""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Guidance(NamedTuple):
    """How both outputs become one: the ``guidance_`` settings of `partway.Settings`."""

    scale: float
    rescale: float = 0.0
    zero_star: bool = False
    mimic: float | None = None


def combined(unconditional: Array, conditional: Array, by: Guidance, boost: float = 1.0) -> Array:
    """One output of both; ``boost`` multiplies the scales."""
    if by.zero_star:
        unconditional = zero_star(unconditional, conditional)
    output = guided(unconditional, conditional, boost * by.scale)
    if by.mimic is not None:
        output = mimicking(output, guided(unconditional, conditional, boost * by.mimic))
    return rescaled(output, conditional, by.rescale)


def guided(unconditional: Array, conditional: Array, scale: float) -> Array:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598)."""
    return unconditional + scale * (conditional - unconditional)


def instructed(blind: Array, seeing: Array, told: Array, scale: float, image_scale: float) -> Array:
    """Brooks et al. 2023 (arXiv 2211.09800, equation 3): towards the picture, and from there to the instruction.

    blind: neither picture nor instruction; seeing: the picture alone; told: both.
    """
    return blind + image_scale * (seeing - blind) + scale * (told - seeing)


def zero_star(unconditional: Array, conditional: Array) -> Array:
    """The multiple of each unconditional output that is nearest to the conditional one: CFG-Zero*'s first half.

    Fan et al. 2025 (arXiv 2503.18886). The second, steps that do nothing at the start, is for models that
    were trained to flow and start from pure noise.
    """
    dot = np.sum(conditional * unconditional, axis=_picture(unconditional), keepdims=True)
    square = np.sum(np.square(unconditional), axis=_picture(unconditional), keepdims=True)
    return unconditional * (dot / (square + np.float32(1e-8)))


def mimicking(output: Array, like: Array) -> Array:
    """Output whose channels spread, about their own means, as far as those of ``like``: Imagen's dynamic thresholding.

    Where theirs (Saharia et al. 2022, arXiv 2205.11487, section 2.3) holds pixels in [-1, 1], latents have no such
    range; the range here is that of a lower guidance scale, as web UIs do it. Nothing is clipped and nothing widened.
    """
    mean = output.mean(axis=(2, 3), keepdims=True)
    away = output - mean
    reach = np.abs(away).max(axis=(2, 3), keepdims=True)
    wanted = np.abs(like - like.mean(axis=(2, 3), keepdims=True)).max(axis=(2, 3), keepdims=True)
    return mean + away * np.minimum(1, wanted / np.maximum(reach, np.float32(1e-8)))


def rescaled(output: Array, conditional: Array, share: float) -> Array:
    """Output whose standard deviation is moved towards the conditional one's, by ``share`` in [0, 1], in each picture.

    Lin et al. 2023 (arXiv 2305.08891, section 3.4).
    """
    if not share:
        return output
    ratio = conditional.std(axis=_picture(output), keepdims=True) / output.std(axis=_picture(output), keepdims=True)
    return output * (share * ratio + (1 - share))


def embedding(scale: float, width: int) -> Array:
    """What a network distilled with guidance takes for it, (1, width): sines and cosines of 1000 (scale - 1).

    Luo et al. 2023 (arXiv 2310.04378, section 4.2), whose own scale counts from 0.
    """
    half = width // 2
    rates = np.exp(np.arange(half) * (-log(10000) / max(half - 1, 1))).astype(np.float32)
    angles = np.float32(1000 * (scale - 1)) * rates
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])[None]


def _picture(batch: Array) -> tuple[int, ...]:
    """The axes of one picture."""
    return tuple(range(1, batch.ndim))
