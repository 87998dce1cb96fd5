"""The UNet's evaluations in one run: which predictions each makes, and by which graph.

A plan counts them by letting the sampler loose on a single number; the run itself asks the same object.
"""

from typing import NamedTuple

import numpy as np

from partway.diffusion.dials import Part
from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.reuse import Reuse
from partway.diffusion.samplers.named import method_of
from partway.diffusion.sampling import Array, Select, trajectory
from partway.graphs import SHALLOW
from partway.model.conditions import Guided
from partway.settings import Settings


class Predictions(NamedTuple):
    """Those of one evaluation, for one picture.

    wanted  predictions that guidance combines; 1 at levels without guidance
    made    how many of them the UNet makes now, the last ones; the others come from `partway.diffusion.reuse`
    """

    wanted: int
    made: int


class Evaluations:
    """Decides what each evaluation of one run makes, and counts; one object for each run.

    made: for each graph of the UNet, the predictions for one picture of each of its evaluations so far
    step: which step of the schedule is under way, from 0, however many of them are left out
    """

    def __init__(self, settings: Settings, guided: Guided, trained: Trained) -> None:
        self.settings = settings
        self.guided = guided
        self.reuse = Reuse(settings.reuse, len(trained.sigmas))
        self.made: dict[str, list[int]] = {"unet": []}
        self.step = 0

    def following(self, select: Select, schedule: Schedule) -> Select:
        """The same choice of the levels to come, which tells `step` when one begins."""

        def selected(levels: tuple[NoiseLevel, ...]) -> tuple[NoiseLevel, ...]:
            self.step = sum(level.sigma > levels[0].sigma for level in schedule.levels)
            return select(levels)

        return selected

    def begin(self, level: NoiseLevel) -> Predictions:
        """Begin the evaluation at a level."""
        wanted = len(self.guided.at(self.settings, level.sigma))
        made = self.reuse.begin(level.timestep, wanted)
        self.made.setdefault("unet" if self.reuse.full else SHALLOW, []).append(made)
        return Predictions(wanted, made)


def evaluations(settings: Settings, guided: Guided, trained: Trained, *, sampler: str, part: Part) -> Evaluations:
    """Those that a run of this part of the schedule makes."""
    counted = Evaluations(settings, guided, trained)

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        counted.begin(level)
        return x

    step = method_of(sampler).bound(trained, settings.eta, steps=settings.steps)
    number = np.zeros(1, np.float32)
    for _ in trajectory(denoise, step, part.schedule, number, lambda *_: number):
        pass
    return counted
