"""Dials: conventions for what strength means, each turning (steps, strength) into the part of the schedule that runs.

`continuous` is partway's own. The others are what other tools do with the same two numbers, so that "0.45 in that
tool" can be asked for here. Adding one is adding a function and a row of `DIALS`. Every function takes
``(steps, strength, spacing, trained)`` with steps >= 1 and strength in [0, 1].
"""

from collections.abc import Callable
from math import hypot
from typing import NamedTuple

import numpy as np

from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.schedules import Given, Schedule, Spacing, lcm_grid, thinned


class Part(NamedTuple):
    """The part of a schedule that runs, and the latents it starts from: ``image * x0 + noise * normal``."""

    schedule: Schedule  # no steps: nothing runs and the picture is returned as it is
    image: float
    noise: float
    covered: float  # steps of the whole schedule; the first may count by a fraction

    @property
    def noise_share(self) -> float:
        """Share of the start latents' variance that is noise, for latents of variance 1; in [0, 1]."""
        return self.noise**2 / hypot(self.image, self.noise) ** 2 if self.noise else 0.0


Dial = Callable[[int, float, Spacing, Trained], Part]


def continuous(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """partway's contract: 0 is the picture, 1 is text-to-image, and every strength between has its own start level.

    The run covers the last ``steps * strength`` steps of the schedule; a fraction of a step is a first step from a
    level interpolated in timestep. At strength 1 the start is pure noise, as in text-to-image.
    """
    full = spacing(trained, steps)
    if strength == 1:
        return Part(full, 0.0, pure_noise(full), steps)
    covered = steps * strength
    whole = round(covered)
    if abs(covered - whole) > 1e-11 * steps:  # below that it is the rounding of decimal fractions: 20 * 0.45
        whole = int(covered)
        levels = full.last(whole + 1)
        return _noised(_starting(_between(levels, covered - whole, trained), full.last(whole)), covered)
    return _noised(full.last(whole))


def diffusers(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """diffusers' image-to-image pipelines: floor of ``steps * strength`` in floating point, noised image even at 1."""
    return _noised(spacing(trained, steps).last(min(int(steps * strength), steps)))


def a1111(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """AUTOMATIC1111's k-diffusion samplers: one step more than the floor, so 0 still runs a step."""
    return _noised(spacing(trained, steps).last(int(min(strength, 0.999) * steps) + 1))


def comfyui(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """ComfyUI's KSampler: exactly ``steps`` steps, the last of a schedule of int(steps / strength).

    From the noisiest trained level its start adds sqrt(1 + sigma^2) times the noise to the image. The longer schedule
    is capped at 100,000 steps.
    """
    if strength <= 0:
        return _noised(spacing(trained, steps).last(0))
    total = steps if strength > 0.9999 else int(min(steps / strength, 100_000))
    part = _noised(spacing(trained, max(total, steps)).last(steps))
    if part.noise >= trained.sigmas[-1] * (1 - 1e-5):
        return part._replace(noise=hypot(1.0, part.noise))
    return part


def invokeai(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """InvokeAI: the levels whose timestep is strictly below 1000 times the strength, however many those are."""
    full = spacing(trained, steps)
    limit = round(len(trained.sigmas) * strength)
    return _noised(full.last(int(np.count_nonzero(full.timesteps[:-1] < limit))))


def stability(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """Stability's image_strength, which counts the other way: 1 is the picture, 0 ignores it."""
    return continuous(steps, 1 - strength, spacing, trained)


def drawthings(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """Draw Things: starts exactly at timestep 1000 times the strength, then takes the schedule's levels below it."""
    full = spacing(trained, steps)
    timestep = len(trained.sigmas) * strength
    if timestep >= full.timesteps[0]:
        return Part(full, 0.0, pure_noise(full), steps)
    start = NoiseLevel(float(trained.sigma(timestep)), timestep)
    if strength == 0:
        return _noised(full.last(0))
    below = int(np.count_nonzero(full.sigmas[:-1] < start.sigma))
    return _noised(_starting(start, full.last(below)))


def lcm(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """diffusers' latent consistency pipeline: ``steps`` of the int(50 * strength) cleanest levels of its own grid.

    The schedule plays no part. Where there are fewer levels than steps, which is an error there, each runs once.
    """
    grid = lcm_grid(trained)
    kept = grid[len(grid) - int(len(grid) * strength) :]
    count = min(steps, len(kept))
    if count == 0:
        return _noised(spacing(trained, steps).last(0))
    return _noised(Given(tuple(map(float, thinned(kept, count))), timesteps=True)(trained, count))


def matching(sigma: float, steps: int, spacing: Spacing, trained: Trained) -> float:
    """The strength, on the `continuous` dial, whose start level has this sigma; in [0, 1]."""
    full = spacing(trained, steps)
    if sigma >= full.sigmas[0]:
        return 1.0
    if sigma <= 0:
        return 0.0
    whole = int(np.count_nonzero(full.sigmas < sigma)) - 1
    start = full.steps - whole - 1
    high, low, here = trained.timestep(np.append(full.sigmas[start : start + 2], sigma))
    return float(whole + (here - low) / (high - low)) / steps


def going_on(share: float, steps: int, spacing: Spacing, trained: Trained) -> Part:
    """What is left to do for a run that goes on where another one ended (`ending`), whatever the strength."""
    full = spacing(trained, steps)
    return _noised(full.last(int(np.count_nonzero(full.timesteps[:-1] < _cut(share, trained)))))


def ending(part: Part, share: float, trained: Trained) -> Part:
    """The part without the steps that begin below a share of the trained timesteps, counted from the noisiest.

    Where diffusers' ``denoising_end`` cuts, so that several models share one schedule (arXiv 2307.01952, section 2.5).
    """
    begun = int(np.count_nonzero(part.schedule.timesteps[:-1] >= _cut(share, trained)))
    return part._replace(schedule=part.schedule.first(begun))


def _cut(share: float, trained: Trained) -> int:
    """The timestep below which a step belongs to the run that goes on; rounded as diffusers does."""
    count = len(trained.sigmas)
    return round(count - share * count)


def pure_noise(schedule: Schedule) -> float:
    """The factor that gives pure noise the variance the network expects at the schedule's first level."""
    return hypot(1.0, float(schedule.sigmas[0]))


def _noised(schedule: Schedule, covered: float | None = None) -> Part:
    """The picture with the noise of the first level that runs."""
    start = float(schedule.sigmas[0]) if schedule.steps else 0.0
    return Part(schedule, 1.0, start, schedule.steps if covered is None else covered)


def _between(schedule: Schedule, fraction: float, trained: Trained) -> NoiseLevel:
    """The level a fraction of the way back from the schedule's second level to its first."""
    ends = trained.timestep(schedule.sigmas[:2])
    timestep = float(ends[1] + fraction * (ends[0] - ends[1]))
    return NoiseLevel(float(trained.sigma(timestep)), max(timestep, 0.0))


def _starting(level: NoiseLevel, rest: Schedule) -> Schedule:
    """The schedule with one more level in front."""
    return Schedule(np.append(level.sigma, rest.sigmas), np.append(level.timestep, rest.timesteps))


DIALS: dict[str, Dial] = {
    "continuous": continuous,
    "diffusers": diffusers,
    "a1111": a1111,
    "comfyui": comfyui,
    "invokeai": invokeai,
    "stability": stability,
    "drawthings": drawthings,
    "lcm": lcm,
}
