"""The sampling loop, written once, and the values that pass through it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

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
    """Where a run stands: latents plus noise, and the evaluations so far, oldest first."""

    x: Array
    past: tuple[Evaluation, ...] = ()

    def advanced(self, x: Array, *evaluations: Evaluation) -> "State":
        """The state after a step that made these evaluations and arrived at x."""
        return State(x, (*self.past, *evaluations)[-KEPT:])


Denoiser = Callable[[Array, NoiseLevel], Array]  # (x, level) -> estimate of x0
Noise = Callable[[float, float], Array]  # (sigma, sigma below it) -> normal noise for that step, shaped like x
Sampler = Callable[[Denoiser, State, NoiseLevel, NoiseLevel, Noise], State]


def trajectory(denoise: Denoiser, sampler: Sampler, schedule: Schedule, x: Array, noise: Noise) -> Iterator[State]:
    """Step x through the schedule, yielding the state after each step; stop iterating to cancel."""
    state = State(x)
    for now, to in schedule.moves:
        state = sampler(denoise, state, now, to, noise)
        yield state
