"""The sampling loop, written once, and the values that pass through it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel

Array = NDArray[np.float32]

MAX_PAST = 4  # evaluations that a state has; no sampler looks further back


class Evaluation(NamedTuple):
    """x at a level, and the denoiser's estimate of the clean latents there."""

    level: NoiseLevel
    x: Array
    denoised: Array


class State(NamedTuple):
    """Where a run stands.

    x       latents plus noise, (B, C, h, w)
    past    the latest evaluations, at most `MAX_PAST`, oldest first
    behind  the levels of the steps that are done, the run's first level first
    ahead   the levels after the one that this step goes to
    """

    x: Array
    past: tuple[Evaluation, ...] = ()
    behind: tuple[NoiseLevel, ...] = ()
    ahead: tuple[NoiseLevel, ...] = ()

    def advanced(self, x: Array, *evaluations: Evaluation) -> "State":
        """The state after a step that made these evaluations and ends at x."""
        return self._replace(x=x, past=(*self.past, *evaluations)[-MAX_PAST:])


class Denoiser(Protocol):
    """Network, guidance and prediction type as one function of x."""

    def __call__(self, x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        """Return the estimate of x0; ``boost`` multiplies the guidance scale, where there is guidance."""


Noise = Callable[[float, float], Array]
"""(sigma, to) -> standard normal noise for the step from ``sigma`` down to ``to``, shaped like x."""

Sampler = Callable[[Denoiser, State, NoiseLevel, NoiseLevel, Noise], State]
"""(denoise, state, now, to, noise) -> the state after the step from ``now`` to ``to``."""

Select = Callable[[tuple[NoiseLevel, ...]], tuple[NoiseLevel, ...]]
"""(levels) -> those of them that the run goes through."""


def trajectory(
    denoise: Denoiser,
    sampler: Sampler,
    schedule: Schedule,
    x: Array,
    noise: Noise,
    select: Select = lambda levels: levels,
) -> Iterator[State]:
    """Step x through the schedule and yield the state after each step; stop iterating to cancel.

    Before each step, ``select`` takes x's level and those after it, and returns the levels that the run still goes
    through.
    """
    state, levels = State(x), select(tuple(schedule.levels))
    while len(levels) > 1:
        now, to, *ahead = levels
        state = sampler(denoise, state._replace(ahead=tuple(ahead)), now, to, noise)
        state = state._replace(behind=(*state.behind, now))
        yield state
        levels = select(levels[1:])
