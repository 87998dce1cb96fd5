"""Guidance: how several predictions, each (B, C, h, w), become the one that the sampler is given.

What a call makes depends on the model: a row of `GUIDED`, the last of whose views is that of a call without guidance.
"""

from collections.abc import Callable, Sequence
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.settings import Settings

Array = NDArray[np.float32]


def guided(unconditional: Array, conditional: Array, scale: float, rescale: float = 0.0) -> Array:
    """Ho & Salimans 2022 (arXiv 2207.12598), then `rescaled` towards the conditional output."""
    return rescaled(unconditional + scale * (conditional - unconditional), conditional, rescale)


def instructed(blind: Array, seeing: Array, told: Array, scale: float, image_scale: float) -> Array:
    """Brooks et al. 2023 (arXiv 2211.09800, equation 3): towards the picture, and from there to the instruction.

    blind: neither picture nor instruction; seeing: the picture alone; told: both.
    """
    return blind + image_scale * (seeing - blind) + scale * (told - seeing)


def rescaled(output: Array, conditional: Array, share: float) -> Array:
    """Lin et al. 2023 (arXiv 2305.08891, section 3.4): each picture's deviation moved a share of the way, 0 .. 1."""
    if not share:
        return output
    axes = tuple(range(1, output.ndim))
    ratio = conditional.std(axis=axes, keepdims=True) / output.std(axis=axes, keepdims=True)
    return output * (share * ratio + (1 - share))


def embedding(scale: float, width: int) -> Array:
    """What a network distilled with guidance takes for it, (1, width): sines and cosines of 1000 (scale - 1).

    Luo et al. 2023 (arXiv 2310.04378, section 4.2), whose own scale counts from 0.
    """
    half = width // 2
    rates = np.exp(np.arange(half) * (-log(10000) / (half - 1))).astype(np.float32)
    angles = np.float32(1000 * (scale - 1)) * rates
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])[None]


class View(NamedTuple):
    """What the network is shown for one prediction: the prompt or the negative one, the picture or none."""

    prompt: bool
    picture: bool = True  # for networks that take one


class Guided(NamedTuple):
    """A way of being guided: the predictions that a guided call makes, and what is made of them."""

    views: tuple[View, ...]
    combine: Callable[[Sequence[Array], Settings], Array]

    def seen(self, settings: Settings) -> tuple[View, ...]:
        """The views that a run with these settings needs at some level."""
        return self.views if settings.guided else self.views[-1:]

    def seen_at(self, settings: Settings, sigma: float) -> tuple[View, ...]:
        """The views that it needs at this one: the last of those above."""
        return self.views if settings.guided_at(sigma) else self.views[-1:]


def _pair(outputs: Sequence[Array], settings: Settings) -> Array:
    return guided(*outputs, scale=settings.guidance_scale, rescale=settings.guidance_rescale)


def _instruction(outputs: Sequence[Array], settings: Settings) -> Array:
    output = instructed(*outputs, scale=settings.guidance_scale, image_scale=settings.image_guidance_scale)
    return rescaled(output, outputs[-1], settings.guidance_rescale)


GUIDED: dict[str, Guided] = {
    "pair": Guided((View(prompt=False), View(prompt=True)), _pair),
    "instruction": Guided((View(False, False), View(False, True), View(True, True)), _instruction),
    "embedded": Guided((View(prompt=True),), lambda outputs, settings: outputs[-1]),  # the network does it by itself
}
