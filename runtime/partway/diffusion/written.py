"""Schedules that are written down: levels that the user gave, and what diffusers' scheduler classes make of theirs.

Both have a textual form, like ``sigmas 14.6,3,0.5`` and ``leading karras``, under which plans and records name them and
from which `spacing_of` reads them again.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from partway.diffusion.grids import Schedule, at_sigmas
from partway.diffusion.levels import Doubles, Trained
from partway.diffusion.schedules import SCHEDULES, Spacing
from partway.errors import InputError


def spacing_of(schedule: str | Spacing) -> Spacing:
    """The function of a schedule: of a name in `SCHEDULES`, or of text like ``leading karras`` or ``sigmas 3,0.5``.

    A function stays itself. Raises `InputError` for text that cannot be read, KeyError for a name that is not in the
    table.
    """
    if not isinstance(schedule, str):
        return schedule
    if " " not in schedule:
        return SCHEDULES[schedule]
    kind, _, numbers = schedule.partition(" ")
    if kind not in ("sigmas", "timesteps"):
        return spaced(schedule)
    try:
        values = tuple(map(float, numbers.split(",")))
    except ValueError:
        raise InputError(f"{kind} are numbers with commas between, like 14.6,3,0.5, not {numbers!r}") from None
    return Given(values, timesteps=kind == "timesteps")


# -- by the user


@dataclass(frozen=True)
class Given:
    """A schedule that the user wrote down: sigmas or timesteps, noisiest first. It ends on sigma 0, written or not.

    Raises `InputError` for an empty list and for values that do not decrease.
    """

    values: tuple[float, ...]
    timesteps: bool = False

    def __post_init__(self) -> None:
        kind = "timesteps" if self.timesteps else "sigmas"
        if self.steps < 1 or self.values[-1] < 0 or not all(a > b for a, b in pairwise(self.values)):
            raise InputError(f"{kind} must be numbers that decrease, the first above 0, not {self.values}")

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.values) - (not self.timesteps and self.values[-1:] == (0.0,))

    @property
    def __name__(self) -> str:
        return ("timesteps " if self.timesteps else "sigmas ") + ",".join(map(repr, self.values))

    def __call__(self, trained: Trained, steps: int) -> Schedule:
        """The schedule; raises `InputError` for another number of ``steps`` and for timesteps beyond the model's."""
        if steps != self.steps:
            raise InputError(f"the list has {self.steps} steps, not {steps}; give a schedule by name for any number")
        if not self.timesteps:
            return at_sigmas(trained, self.values)
        if self.values[0] > len(trained.sigmas) - 1:
            raise InputError(f"timesteps go up to {len(trained.sigmas) - 1} in this model, not {self.values[0]:g}")
        sigmas = np.append(trained.sigma(np.array(self.values)), 0.0)
        return Schedule(sigmas, np.append(self.values, 0.0))


# -- by a model

SPREADS = ("karras", "exponential", "beta")
WHOLE = {"rounded": np.rint, "floored": np.floor}
END = "sigma_min"
ENDED = 1e-9  # how far below the cleanest trained level a run ends that has a level there already


@dataclass(frozen=True)
class Spaced:
    """A grid, sigmas spread between its ends, whole timesteps, and where the run ends; each of them may be left out.

    grid    a name in `SCHEDULES`; without one, sigmas are spread over all trained levels
    spread  a row of `SPREADS`: how sigmas lie between the grid's ends; without one, as the grid has them
    whole   "rounded" or "floored" timesteps; those of a spread are found by interpolation in log sigma. Sigmas of a
            spread stay as they are
    ended   ends on the cleanest trained level, not on sigma 0
    """

    grid: str = ""
    spread: str = ""
    whole: str = ""
    ended: bool = False

    @property
    def __name__(self) -> str:
        return " ".join(filter(None, (self.grid, self.spread, self.whole, END if self.ended else "")))

    def __call__(self, trained: Trained, steps: int) -> Schedule:
        """The schedule; more steps than there are trained levels for leave timesteps as fractions."""
        sigmas, timesteps = trained.sigmas[::-1], np.zeros(0)
        if self.grid:
            full = SCHEDULES[self.grid](trained, steps)
            sigmas, timesteps = full.sigmas[:-1], full.timesteps[:-1]
        if self.spread:
            ends = Trained(np.array([sigmas[-1], sigmas[0]]))
            sigmas = SCHEDULES[self.spread](ends, steps).sigmas[:-1]
            timesteps = _log_interpolated(trained, sigmas)
        if self.whole and (self.spread or steps <= len(trained.sigmas) // 2):
            timesteps = WHOLE[self.whole](timesteps)
            sigmas = sigmas if self.spread else trained.sigma(timesteps)
        end = min(float(trained.sigmas[0]), float(sigmas[-1]) * (1 - ENDED)) if self.ended else 0.0
        return Schedule(np.append(sigmas, end), np.append(timesteps, 0.0))


def _log_interpolated(trained: Trained, sigmas: Doubles) -> Doubles:
    """Timesteps of sigmas between the trained ones, as diffusers finds them; outside them, those of the ends.

    diffusers keeps the logarithms of trained sigmas in float32: those decide whether the first of floored timesteps is
    the last trained one or the one before it.
    """
    return np.interp(np.log(sigmas), np.log(np.float32(trained.sigmas)), np.arange(len(trained.sigmas)))


def spaced(text: str) -> Spaced:
    """The schedule of a text like ``leading karras``; raises `InputError` for words that are none of it."""
    words = text.split()
    grid = words.pop(0) if words and words[0] in SCHEDULES and words[0] not in SPREADS else ""
    spread = words.pop(0) if words and words[0] in SPREADS else ""
    whole = words.pop(0) if words and words[0] in WHOLE else ""
    ended = words == [END]
    if (words and not ended) or not (grid or spread):
        raise InputError(f"{text!r} is no schedule; one is a name, then {', '.join((*SPREADS, *WHOLE, END))} as needed")
    return Spaced(grid, spread, whole, ended)
