"""Which predictions a guided step makes, for each kind of model: a row of `GUIDED`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import combined, instructed, rescaled
from partway.settings import Settings

Array = NDArray[np.float32]


class View(NamedTuple):
    """The input of one prediction: the prompt or the negative prompt, with the picture or without."""

    prompt: bool
    picture: bool = True  # for networks that take one


class Guided(NamedTuple):
    """A kind of guidance: the predictions that a guided step makes, the prompt's last, and how they become one.

    combine: (outputs, settings, boost) -> output; ``boost`` multiplies the scales
    """

    views: tuple[View, ...]
    combine: Callable[[Sequence[Array], Settings, float], Array]

    def seen(self, settings: Settings) -> tuple[View, ...]:
        """The views that a run with these settings needs at any level."""
        return self.views if settings.guided else self.views[-1:]

    def texts(self, settings: Settings) -> set[bool]:
        """Whether a run needs the prompt (True), the negative prompt (False), or both."""
        return {view.prompt for view in self.seen(settings)}

    def seen_at(self, settings: Settings, sigma: float) -> tuple[View, ...]:
        """The views that a run needs at the level of this sigma: all that `seen` returns, or the last."""
        return self.views if settings.guided_at(sigma) else self.views[-1:]


def _pair(outputs: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, conditional = outputs
    return combined(unconditional, conditional, settings.guidance, boost)


def _instruction(outputs: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, image, text = outputs
    scales = (boost * settings.guidance_scale, boost * settings.image_guidance_scale)
    return rescaled(instructed(unconditional, image, text, *scales), text, settings.guidance_rescale)


GUIDED: dict[str, Guided] = {
    "pair": Guided((View(prompt=False), View(prompt=True)), _pair),
    "instruction": Guided((View(False, False), View(False, True), View(True, True)), _instruction),
    # the network takes the guidance scale as an input
    "embedded": Guided((View(prompt=True),), lambda outputs, settings, boost: outputs[-1]),
}
