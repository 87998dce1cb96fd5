"""Dials: conventions for what strength means.

A dial is a function ``(steps, strength, spacing, trained) -> Part``, with steps >= 1 and strength in [0, 1], that
selects the part of the schedule that runs. `continuous` is partway's own. The others do what other tools do with the
same two numbers, so that a user can ask for "0.45 in that tool". To add one, add a function and a row of `DIALS`.
"""

from collections.abc import Callable
from math import hypot
from typing import NamedTuple

import numpy as np

from partway.diffusion.grids import Schedule
from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.schedules import Spacing, lcm_grid, thinned
from partway.diffusion.written import Given


class Part(NamedTuple):
    """The part of a schedule that runs, and the latents it starts from: ``image * x0 + noise * normal``."""

    schedule: Schedule  # without steps where nothing runs, and the picture is returned as it is
    image: float
    noise: float
    covered: float  # steps of the full schedule; the first may count as a fraction

    @property
    def noise_share(self) -> float:
        """Share of the start latents' variance that is noise, for clean latents of variance 1; in [0, 1]."""
        return self.noise**2 / hypot(self.image, self.noise) ** 2 if self.noise else 0.0


Dial = Callable[[int, float, Spacing, Trained], Part]


def continuous(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """partway's contract: 0 is the picture, 1 is text-to-image, and every strength between has its own start level.

    The run covers the last ``steps * strength`` steps of the schedule. Where that number has a fraction, the first
    step is that fraction of a step, from a level interpolated in timestep. At strength 1 the start is pure noise, as
    in text-to-image.
    """
    full = spacing(trained, steps)
    if strength == 1:
        return Part(full, 0.0, pure_noise(full), steps)
    covered = steps * strength
    count = round(covered)
    if abs(covered - count) > 1e-11 * steps:  # less is the rounding error of decimal fractions: 20 * 0.45
        count = int(covered)
        start = _between(full.last(count + 1), covered - count, trained)
        return _noised(_starting(start, full.last(count)), covered)
    return _noised(full.last(count))


def diffusers(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """diffusers' image-to-image pipelines: floor of ``steps * strength`` in floating point, noised image even at 1."""
    return _noised(spacing(trained, steps).last(min(int(steps * strength), steps)))


def a1111(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """AUTOMATIC1111's k-diffusion samplers: one step more than the floor, so that 0 still runs a step."""
    return _noised(spacing(trained, steps).last(int(min(strength, 0.999) * steps) + 1))


def comfyui(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """ComfyUI's KSampler: exactly ``steps`` steps, the last of a schedule of int(steps / strength).

    From the noisiest trained level, its start adds sqrt(1 + sigma^2) times the noise to the image. The longer schedule
    has at most 100,000 steps.
    """
    if strength <= 0:
        return _noised(spacing(trained, steps).last(0))
    total = steps if strength > 0.9999 else int(min(steps / strength, 100_000))
    part = _noised(spacing(trained, max(total, steps)).last(steps))
    if part.noise >= trained.sigmas[-1] * (1 - 1e-5):
        return part._replace(noise=hypot(1.0, part.noise))
    return part


def invokeai(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """InvokeAI: all levels of the schedule whose timestep is strictly below 1000 times the strength."""
    full = spacing(trained, steps)
    limit = round(len(trained.sigmas) * strength)
    return _noised(full.last(int(np.count_nonzero(full.timesteps[:-1] < limit))))


def stability(steps: int, strength: float, spacing: Spacing, trained: Trained) -> Part:
    """Stability's image_strength, the opposite of strength: 1 is the picture, 0 ignores it."""
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

    It ignores the schedule. Where there are fewer levels than steps, an error in diffusers, each runs once.
    """
    grid = lcm_grid(trained)
    cleanest = grid[len(grid) - int(len(grid) * strength) :]
    count = min(steps, len(cleanest))
    if count == 0:
        return _noised(spacing(trained, steps).last(0))
    return _noised(Given(tuple(map(float, thinned(cleanest, count))), timesteps=True)(trained, count))


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


def matching(sigma: float, steps: int, spacing: Spacing, trained: Trained) -> float:
    """The strength, on the `continuous` dial, whose start level has this sigma; in [0, 1]."""
    full = spacing(trained, steps)
    if sigma >= full.sigmas[0]:
        return 1.0
    if sigma <= 0:
        return 0.0
    count = int(np.count_nonzero(full.sigmas < sigma)) - 1
    start = full.steps - count - 1
    high, low, here = trained.timestep(np.append(full.sigmas[start : start + 2], sigma))
    return float(count + (here - low) / (high - low)) / steps


def from_denoising_start(share: float, steps: int, spacing: Spacing, trained: Trained) -> Part:
    """The part that a run with ``denoising_start`` takes: the steps that `until_denoising_end` leaves out.

    Strength has no part in it.
    """
    full = spacing(trained, steps)
    return _noised(full.last(int(np.count_nonzero(full.timesteps[:-1] < _cutoff(share, trained)))))


def until_denoising_end(part: Part, share: float, trained: Trained) -> Part:
    """The part without the steps that begin below a share of the trained timesteps, counted from the noisiest.

    It cuts where diffusers' ``denoising_end`` does, so that several models can share one schedule (Podell et al. 2023,
    arXiv 2307.01952, section 2.5).
    """
    begun = int(np.count_nonzero(part.schedule.timesteps[:-1] >= _cutoff(share, trained)))
    return part._replace(schedule=part.schedule.first(begun))


def pure_noise(schedule: Schedule) -> float:
    """The factor that gives pure noise the variance the network expects at the schedule's first level."""
    return hypot(1.0, float(schedule.sigmas[0]))


def _noised(schedule: Schedule, covered: float | None = None) -> Part:
    """The part that starts from the picture with the noise of the schedule's first level."""
    start = float(schedule.sigmas[0]) if schedule.steps else 0.0
    return Part(schedule, 1.0, start, schedule.steps if covered is None else covered)


def _between(schedule: Schedule, fraction: float, trained: Trained) -> NoiseLevel:
    """The level at a ``fraction`` of the distance in timesteps from the schedule's second level to its first."""
    ends = trained.timestep(schedule.sigmas[:2])
    timestep = float(ends[1] + fraction * (ends[0] - ends[1]))
    return NoiseLevel(float(trained.sigma(timestep)), max(timestep, 0.0))


def _starting(level: NoiseLevel, rest: Schedule) -> Schedule:
    """The schedule with one more level in front."""
    return Schedule(np.append(level.sigma, rest.sigmas), np.append(level.timestep, rest.timesteps))


def _cutoff(share: float, trained: Trained) -> int:
    """The timestep, rounded as diffusers does, below which a step belongs to the run with ``denoising_start``."""
    count = len(trained.sigmas)
    return round(count - share * count)
