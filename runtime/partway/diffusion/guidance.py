"""Guidance: functions that combine a network's outputs, each (B, C, h, w), into the one output a sampler uses."""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Guidance(NamedTuple):
    """How the unconditional and the conditional output become one: the ``guidance_`` settings of `partway.Settings`."""

    scale: float
    rescale: float = 0.0
    zero_star: bool = False
    mimic: float | None = None


def combined(unconditional: Array, conditional: Array, by: Guidance, boost: float = 1.0) -> Array:
    """The guided output; ``boost`` multiplies the scales."""
    if by.zero_star:
        unconditional = zero_star(unconditional, conditional)
    output = guided(unconditional, conditional, boost * by.scale)
    if by.mimic is not None:
        output = mimicking(output, guided(unconditional, conditional, boost * by.mimic))
    return rescaled(output, conditional, by.rescale)


def guided(unconditional: Array, conditional: Array, scale: float) -> Array:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598)."""
    return unconditional + scale * (conditional - unconditional)


def instructed(unconditional: Array, image: Array, text: Array, scale: float, image_scale: float) -> Array:
    """Guidance of InstructPix2Pix (Brooks et al. 2023, arXiv 2211.09800, equation 3).

    unconditional: the output for neither picture nor instruction; image: for the picture alone; text: for both.
    """
    return unconditional + image_scale * (image - unconditional) + scale * (text - image)


def zero_star(unconditional: Array, conditional: Array) -> Array:
    """The multiple of each unconditional output that is nearest to the conditional one.

    That is the first half of CFG-Zero* (Fan et al. 2025, arXiv 2503.18886). Its second half, first steps that do
    nothing, is for flow-matching models that start from pure noise.
    """
    dot = np.sum(conditional * unconditional, axis=_picture(unconditional), keepdims=True)
    square = np.sum(np.square(unconditional), axis=_picture(unconditional), keepdims=True)
    return unconditional * (dot / (square + np.float32(1e-8)))


def mimicking(output: Array, like: Array) -> Array:
    """Dynamic thresholding: the output, each channel scaled about its mean to the range that it has in ``like``.

    Saharia et al. 2022 (arXiv 2205.11487, section 2.3) keep pixels in [-1, 1] with it. Latents have no such range, so
    ``like`` is the output of a lower guidance scale, as in web UIs. It clips nothing and widens no channel.
    """
    mean = output.mean(axis=(2, 3), keepdims=True)
    deviation = output - mean
    reach = np.abs(deviation).max(axis=(2, 3), keepdims=True)
    wanted = np.abs(like - like.mean(axis=(2, 3), keepdims=True)).max(axis=(2, 3), keepdims=True)
    return mean + deviation * np.minimum(1, wanted / np.maximum(reach, np.float32(1e-8)))


def rescaled(output: Array, conditional: Array, share: float) -> Array:
    """The output, its standard deviation in each picture moved by ``share`` (0 .. 1) to the conditional output's.

    Lin et al. 2023 (arXiv 2305.08891, section 3.4).
    """
    if not share:
        return output
    ratio = conditional.std(axis=_picture(output), keepdims=True) / output.std(axis=_picture(output), keepdims=True)
    return output * (share * ratio + (1 - share))


def embedding(scale: float, width: int) -> Array:
    """The guidance scale as an input of networks distilled with guidance: sines and cosines of 1000 (scale - 1).

    It is (1, width), as in Luo et al. 2023 (arXiv 2310.04378, section 4.2), whose own scale counts from 0.
    """
    half = width // 2
    rates = np.exp(np.arange(half) * (-log(10000) / max(half - 1, 1))).astype(np.float32)
    angles = np.float32(1000 * (scale - 1)) * rates
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])[None]


def _picture(batch: Array) -> tuple[int, ...]:
    """The axes of one picture."""
    return tuple(range(1, batch.ndim))
