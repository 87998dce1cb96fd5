"""The sampling loop, written once, and the values that pass through it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.schedules import Schedule

Array = NDArray[np.float32]

KEPT = 4  # evaluations; no sampler looks further back


class Evaluation(NamedTuple):
    """What the network said of x at a level: its estimate of the clean latents."""

    level: NoiseLevel
    x: Array
    denoised: Array


class State(NamedTuple):
    """Where a run stands: latents plus noise, the evaluations so far, oldest first, and the levels around this step.

    behind  the levels that were left before this step's, the run's first one first; after the step, its own too
    ahead   the levels after the one that this step goes to, before any are left out
    """

    x: Array
    past: tuple[Evaluation, ...] = ()
    behind: tuple[NoiseLevel, ...] = ()
    ahead: tuple[NoiseLevel, ...] = ()

    def advanced(self, x: Array, *evaluations: Evaluation) -> "State":
        """The state after a step that made these evaluations and arrived at x."""
        return self._replace(x=x, past=(*self.past, *evaluations)[-KEPT:])


class Denoiser(Protocol):
    """Network, guidance and prediction as one function."""

    def __call__(self, x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        """Return the estimate of x0; where there is guidance, its scale is multiplied by ``boost``."""


Noise = Callable[[float, float], Array]  # (sigma, sigma below it) -> normal noise for that step, shaped like x
Sampler = Callable[[Denoiser, State, NoiseLevel, NoiseLevel, Noise], State]


Ration = Callable[[tuple[NoiseLevel, ...]], tuple[NoiseLevel, ...]]


def trajectory(
    denoise: Denoiser, sampler: Sampler, schedule: Schedule, x: Array, noise: Noise, ration: Ration = lambda left: left
) -> Iterator[State]:
    """Step x through the schedule, yielding the state after each step; stop iterating to cancel.

    ``ration`` is given the levels still to come before each step, where x is first, and returns those to take.
    """
    state, left = State(x), ration(tuple(schedule.levels))
    while len(left) > 1:
        now, to, *ahead = left
        state = sampler(denoise, state._replace(ahead=tuple(ahead)), now, to, noise)
        state = state._replace(behind=(*state.behind, now))
        yield state
        left = ration(left[1:])
