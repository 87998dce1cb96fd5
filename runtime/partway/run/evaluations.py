"""The UNet's evaluations in one run: which predictions each makes, and by which graph.

A plan counts them by letting the sampler loose on a single number; the run itself asks the same object.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.dials import Part
from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.reuse import Reuse
from partway.diffusion.samplers.named import method_of
from partway.diffusion.sampling import Array, Select, trajectory
from partway.graphs import SHALLOW
from partway.model.conditions import GuidanceMode
from partway.model.control_units import ControlUnit
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

    control_units: the ControlNets and adapters, at steps from one of ``sigmas`` to the next
    made: for each graph of the UNet, the predictions for one picture of each of its evaluations so far
    control_calls: how often each ControlNet or T2I-Adapter was called
    active: numbers of the control units that count in this evaluation
    step: which step of the schedule is under way, from 0, however many of them are left out
    """

    def __init__(
        self,
        settings: Settings,
        guidance_mode: GuidanceMode,
        trained: Trained,
        units: Sequence[ControlUnit] = (),
        sigmas: Sequence[float] | NDArray[np.float64] = (),
    ) -> None:
        self.settings = settings
        self.control_units = units
        self._sigmas = np.asarray(sigmas[:-1])
        self.control_calls: dict[str, int] = dict.fromkeys((unit.network for unit in units), 0)
        self.active: tuple[int, ...] = ()
        self.guidance_mode = guidance_mode
        self.reuse = Reuse(settings.reuse, len(trained.sigmas), steps=len(self._sigmas))
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
        wanted = len(self.guidance_mode.at(self.settings, level.sigma))
        made = self.reuse.begin(level.timestep, wanted)
        self.made.setdefault("unet" if self.reuse.full else SHALLOW, []).append(made)
        if self.control_units:
            self._activate(level)
        return Predictions(wanted, made)

    def _activate(self, level: NoiseLevel) -> None:
        """Find which control units count at a level, by its share of the whole schedule's steps."""
        step = max(int(np.count_nonzero(self._sigmas >= level.sigma)) - 1, 0)
        count = len(self._sigmas)
        self.active = tuple(at for at, one in enumerate(self.control_units) if one.control.counts(step, count))
        for at, unit in enumerate(self.control_units):
            if unit.part.once:
                self.control_calls[unit.network] = max(self.control_calls[unit.network], self._sharing(unit))
            elif self.reuse.full and at in self.active:
                self.control_calls[unit.network] += 1

    def _sharing(self, unit: ControlUnit) -> int:
        """How many control units go through the same network."""
        return sum(one.network == unit.network for one in self.control_units)


def evaluations(counted: Evaluations, trained: Trained, *, sampler: str, part: Part) -> Evaluations:
    """Let the sampler loose on one number; return ``counted``, new before, with all that a run makes."""
    settings = counted.settings

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        counted.begin(level)
        return x

    step = method_of(sampler).bound(trained, settings.eta, steps=settings.steps)
    number = np.zeros(1, np.float32)
    for _ in trajectory(denoise, step, part.schedule, number, lambda *_: number):
        pass
    return counted
