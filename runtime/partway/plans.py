"""What a run will do, said before it does anything."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from partway.dials import DIALS, Part
from partway.levels import NoiseLevel, Trained
from partway.samplers import SAMPLERS
from partway.sampling import Array, trajectory
from partway.schedules import Spacing, spacing_of
from partway.settings import Settings


@dataclass(frozen=True)
class Plan:
    """The levels that run, what they cost, and how much of the picture is noise at the start.

    levels         the levels evaluated, noisiest first, and the one the run ends on; empty when nothing runs
    network_calls  UNet evaluations for one picture, each tile's; a guidance pair counts as one
    guided_calls   how many of them are guidance pairs, which cost two
    calls          calls of each network, were each to take the whole batch at once
    noise_share    share of the start latents' variance that is noise, in [0, 1]
    reads_image    whether the source picture has any part in the result
    """

    dial: str
    strength: float
    steps: int
    sampler: str
    schedule: str
    levels: tuple[NoiseLevel, ...]
    network_calls: int
    guided_calls: int
    calls: dict[str, int]
    noise_share: float
    reads_image: bool

    @property
    def start_sigma(self) -> float:
        """Sigma of the first level that is evaluated; 0 when nothing runs."""
        return self.levels[0].sigma if self.levels else 0.0

    @property
    def start_timestep(self) -> float:
        """Timestep of the first level that is evaluated; 0 when nothing runs."""
        return self.levels[0].timestep if self.levels else 0.0

    @property
    def steps_run(self) -> int:
        """How many sampler steps run."""
        return max(len(self.levels) - 1, 0)

    def with_calls(self, **calls: int) -> "Plan":
        """The plan with other numbers of calls of some networks."""
        return replace(self, calls=self.calls | calls)

    def in_tiles(self, tiles: int) -> "Plan":
        """The plan for a picture of so many tiles, which the UNet and the VAE see one by one."""
        pictures = {name: count * (1 if name == "text_encoder" else tiles) for name, count in self.calls.items()}
        return replace(
            self,
            network_calls=self.network_calls * tiles,
            guided_calls=self.guided_calls * tiles,
            calls=pictures,
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values."""
        return asdict(self) | {
            "levels": [level._asdict() for level in self.levels],
            "steps_run": self.steps_run,
            "start_sigma": self.start_sigma,
            "start_timestep": self.start_timestep,
        }

    def __str__(self) -> str:
        head = (
            f"{self.sampler}, {self.schedule} schedule, {self.steps} steps, "
            f"strength {self.strength:g} on the {self.dial} dial"
        )
        if not self.levels:
            return f"{head}\nnothing runs: the picture is returned as it is"
        start = f"starts at sigma {self.start_sigma:.3f} (timestep {self.start_timestep:.1f})"
        share = f"noise is {100 * self.noise_share:.1f} % of the start"
        if not self.reads_image:
            share += ": the source picture plays no part"
        calls = ", ".join(f"{count} x {network}" for network, count in self.calls.items() if count)
        calls += f" ({self.guided_calls} of them guidance pairs)" if 0 < self.guided_calls < self.network_calls else ""
        rows = [
            f"{index:>6}  {now.sigma:>9.4f}  {now.timestep:>8.2f}  ->  {to.sigma:.4f}"
            for index, (now, to) in enumerate(zip(self.levels, self.levels[1:], strict=False), 1)
        ]
        table = "\n".join([f"{'step':>6}  {'sigma':>9}  {'timestep':>8}  ->  sigma", *rows])
        return f"{head}\n{self.steps_run} steps run; {start}; {share}\ncalls: {calls}\n{table}"


def make_plan(
    settings: Settings,
    trained: Trained,
    sampler: str,
    schedule: str | Spacing,
    *,
    image: bool,
    mask: bool = False,
) -> tuple[Plan, Part]:
    """The plan of a run and the part of the schedule it describes.

    ``sampler`` and ``schedule`` are the model's own, for settings that name none. Without an ``image`` the run
    is text-to-image: the whole schedule from pure noise, which is what strength 1 means on the continuous dial.
    With a ``mask`` the picture has a part in the result at every strength.
    """
    sampler, schedule = settings.sampler or sampler, settings.schedule or schedule
    if not image:
        settings = replace(settings, strength=1.0, dial="continuous")
    part = DIALS[settings.dial](settings.steps, settings.strength, spacing_of(schedule), trained)
    evaluations, guided = _evaluations(settings, part, sampler, trained)
    runs = part.schedule.steps > 0
    reads = part.image != 0 or mask
    plan = Plan(
        dial=settings.dial,
        strength=settings.strength,
        steps=settings.steps,
        sampler=sampler,
        schedule=schedule if isinstance(schedule, str) else getattr(schedule, "__name__", "custom"),
        levels=tuple(part.schedule.levels) if runs else (),
        network_calls=evaluations,
        guided_calls=guided,
        calls={
            "text_encoder": (1 + settings.guided) * runs,
            "vae_encoder": int(runs and reads),
            "unet": evaluations,
            "vae_decoder": int(runs),
        },
        noise_share=part.noise_share,
        reads_image=reads,
    )
    return plan, part


def _evaluations(settings: Settings, part: Part, sampler: str, trained: Trained) -> tuple[int, int]:
    """Network evaluations and those with guidance, counted by running the sampler itself on one number."""
    count = guided = 0

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        nonlocal count, guided
        count += 1
        guided += settings.guided_at(level.sigma)
        return x

    step = SAMPLERS[sampler].bound(trained, settings.eta)
    zero = np.zeros(1, np.float32)
    for _ in trajectory(denoise, step, part.schedule, zero, lambda *_: zero):
        pass
    return count, guided
