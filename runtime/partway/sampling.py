"""The sampling loop, written once, and the values that pass through it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from partway.levels import NoiseLevel
from partway.schedules import Schedule

Array = NDArray[np.float32]

KEPT = 4  # evaluations; no sampler looks further back


class Evaluation(NamedTuple):
    """What the network said of x at a level: its estimate of the clean latents."""

    level: NoiseLevel
    x: Array
    denoised: Array


class State(NamedTuple):
    """Where a run stands: latents plus noise, the evaluations so far, oldest first, and the levels around this step.

    behind  the levels that were left before this step's, the run's first one first
    ahead   the levels after the one that this step goes to
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


def trajectory(denoise: Denoiser, sampler: Sampler, schedule: Schedule, x: Array, noise: Noise) -> Iterator[State]:
    """Step x through the schedule, yielding the state after each step; stop iterating to cancel."""
    state, levels = State(x), tuple(schedule.levels)
    for index, (now, to) in enumerate(schedule.moves):
        around = state._replace(behind=levels[:index], ahead=levels[index + 2 :])
        state = sampler(denoise, around, now, to, noise)
        yield state
