"""What a prediction is conditioned on, and how those of one evaluation are combined, for each kind of guidance.

Which kind a model has is decided in `partway.model.package`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import combined, instructed, rescaled
from partway.errors import InputError
from partway.settings import Settings

Array = NDArray[np.float32]


class Condition(NamedTuple):
    """What one prediction is conditioned on.

    prompt   True: the prompt; False: the negative prompt
    picture  True: the source picture; False: none; for networks that take one
    joined   which of the prompts that are joined
    """

    prompt: bool
    picture: bool = True
    joined: int = 0


class GuidanceMode(NamedTuple):
    """A kind of guidance.

    conditions  of the predictions that a guided evaluation makes; the last ones, one for each prompt that is joined,
                are the conditional predictions, which an evaluation without guidance makes alone
    combine     (predictions in that order, settings, boost) -> the network's output; ``boost`` multiplies the scales
    prompt_count  how many prompts are joined
    """

    conditions: tuple[Condition, ...]
    combine: Callable[[Sequence[Array], Settings, float], Array]
    prompt_count: int = 1

    def needed(self, settings: Settings) -> tuple[Condition, ...]:
        """The conditions that a run with these settings needs at one level at least."""
        return self.conditions if settings.guided else self.conditions[-self.prompt_count :]

    def at(self, settings: Settings, sigma: float) -> tuple[Condition, ...]:
        """Those that it needs at the level ``sigma``: the last ones of `needed`."""
        return self.conditions if settings.guided_at(sigma) else self.conditions[-self.prompt_count :]


def _pair(predictions: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, conditional = predictions
    return combined(unconditional, conditional, settings.guidance, boost)


def _instruction(predictions: Sequence[Array], settings: Settings, boost: float) -> Array:
    unconditional, of_picture, conditional = predictions
    scales = (boost * settings.guidance_scale, boost * settings.image_guidance_scale)
    output = instructed(unconditional, of_picture, conditional, *scales)
    return rescaled(output, conditional, settings.guidance_rescale)


GUIDANCE_MODES: dict[str, GuidanceMode] = {
    "pair": GuidanceMode((Condition(prompt=False), Condition(prompt=True)), _pair),
    "instruction": GuidanceMode((Condition(False, False), Condition(False, True), Condition(True, True)), _instruction),
    # the network takes the guidance scale as an input, and is evaluated once
    "embedded": GuidanceMode((Condition(prompt=True),), lambda predictions, settings, boost: predictions[-1]),
}
"""By `Package.guidance`."""


def guidance_mode(kind: str, weights: Sequence[float] = (1.0,)) -> GuidanceMode:
    """A row of `GUIDANCE_MODES`, for prompts that are joined with these weights.

    Their predictions e_i become e + sum of w_i (e_i - e), where e is the unconditional prediction (Liu et al. 2022,
    arXiv 2206.01714); without one, their weighted mean. Raises `InputError` for instructions, which are not joined.
    """
    row, count = GUIDANCE_MODES[kind], len(weights)
    if tuple(weights) == (1.0,):
        return row
    if kind == "instruction":
        raise InputError("instructions cannot be joined with AND or weighed as a whole; give one")
    conditions = (*row.conditions[:-1], *(Condition(prompt=True, joined=number) for number in range(count)))

    def combine(predictions: Sequence[Array], settings: Settings, boost: float) -> Array:
        others, prompted = predictions[:-count], predictions[-count:]
        if not others:
            return _mean(prompted, weights)
        start = others[0]
        parts = [np.float32(weight) * (one - start) for weight, one in zip(weights, prompted, strict=True)]
        return row.combine([start, start + sum(parts[1:], parts[0])], settings, boost)

    return GuidanceMode(conditions, combine, count)


def _mean(predictions: Sequence[Array], weights: Sequence[float]) -> Array:
    total = sum(weights) or 1.0
    parts = [np.float32(weight / total) * one for weight, one in zip(weights, predictions, strict=True)]
    return sum(parts[1:], parts[0])
