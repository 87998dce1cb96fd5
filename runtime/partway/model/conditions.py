"""What a prediction is conditioned on, and how those of one evaluation are combined, for each kind of guidance.

Which kind a model has is decided in `partway.model.package`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import combined, instructed, rescaled
from partway.settings import Settings

Array = NDArray[np.float32]


class Condition(NamedTuple):
    """What one prediction is conditioned on.

    prompt   True: the prompt; False: the negative prompt
    picture  True: the source picture; False: none; for networks that take one
    """

    prompt: bool
    picture: bool = True


class Guided(NamedTuple):
    """A kind of guidance.

    conditions  of the predictions that a guided evaluation makes; the last one is the conditional prediction, which
                an evaluation without guidance makes alone
    combine     (predictions in that order, settings, boost) -> the network's output; ``boost`` multiplies the scales
    """

    conditions: tuple[Condition, ...]
    combine: Callable[[Sequence[Array], Settings, float], Array]

    def needed(self, settings: Settings) -> tuple[Condition, ...]:
        """The conditions that a run with these settings needs at one level at least."""
        return self.conditions if settings.guided else self.conditions[-1:]

    def at(self, settings: Settings, sigma: float) -> tuple[Condition, ...]:
        """Those that it needs at the level ``sigma``: the last ones of `needed`."""
        return self.conditions if settings.guided_at(sigma) else self.conditions[-1:]

    def prompts(self, settings: Settings) -> set[bool]:
        """Which texts a run encodes: the prompt (True), the negative prompt (False), or both."""
        return {condition.prompt for condition in self.needed(settings)}


def _pair(predictions: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, conditional = predictions
    return combined(unconditional, conditional, settings.guidance, boost)


def _instruction(predictions: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, of_picture, conditional = predictions
    scales = (boost * settings.guidance_scale, boost * settings.image_guidance_scale)
    output = instructed(unconditional, of_picture, conditional, *scales)
    return rescaled(output, conditional, settings.guidance_rescale)


GUIDED: dict[str, Guided] = {
    "pair": Guided((Condition(prompt=False), Condition(prompt=True)), _pair),
    "instruction": Guided((Condition(False, False), Condition(False, True), Condition(True, True)), _instruction),
    # the network takes the guidance scale as an input, and is evaluated once
    "embedded": Guided((Condition(prompt=True),), lambda predictions, settings, boost: predictions[-1]),
}
"""By `Package.guidance`."""
