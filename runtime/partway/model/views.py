"""What a guided call shows the network, for each kind of model: a row of `GUIDED`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import combined, instructed, rescaled
from partway.settings import Settings

Array = NDArray[np.float32]


class View(NamedTuple):
    """What the network is shown for one prediction: the prompt or the negative one, the picture or none."""

    prompt: bool
    picture: bool = True  # for networks that take one


class Guided(NamedTuple):
    """A way of being guided: the predictions that a guided call makes, and what is made of them.

    combine: (outputs, settings, boost) -> output; ``boost`` multiplies the scales
    """

    views: tuple[View, ...]
    combine: Callable[[Sequence[Array], Settings, float], Array]

    def seen(self, settings: Settings) -> tuple[View, ...]:
        """The views that a run with these settings needs at some level."""
        return self.views if settings.guided else self.views[-1:]

    def texts(self, settings: Settings) -> set[bool]:
        """Whether it needs the prompt (True), the negative one (False), or both."""
        return {view.prompt for view in self.seen(settings)}

    def seen_at(self, settings: Settings, sigma: float) -> tuple[View, ...]:
        """The views that it needs at this one: the last of those above."""
        return self.views if settings.guided_at(sigma) else self.views[-1:]


def _pair(outputs: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, conditional = outputs
    return combined(unconditional, conditional, settings.guidance, boost)


def _instruction(outputs: Sequence[Array], settings: Settings, boost: float) -> Array:
    blind, seeing, told = outputs
    scales = (boost * settings.guidance_scale, boost * settings.image_guidance_scale)
    return rescaled(instructed(blind, seeing, told, *scales), told, settings.guidance_rescale)


GUIDED: dict[str, Guided] = {
    "pair": Guided((View(prompt=False), View(prompt=True)), _pair),
    "instruction": Guided((View(False, False), View(False, True), View(True, True)), _instruction),
    # the network does it by itself
    "embedded": Guided((View(prompt=True),), lambda outputs, settings, boost: outputs[-1]),
}
