"""What a run will do, said before it does anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from partway.diffusion.dials import DIALS, Part, from_denoising_start, until_denoising_end
from partway.diffusion.levels import NoiseLevel, Trained
from partway.diffusion.reuse import Reuse
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.sampling import Array, trajectory
from partway.diffusion.schedules import Spacing, spacing_of
from partway.errors import InputError
from partway.graphs import SHALLOW, TOKENIZERS, VAES
from partway.model import sizes
from partway.model.package import Package
from partway.model.views import GUIDED, Guided
from partway.settings import Settings
from partway.support.amounts import shown, shown_time


@dataclass(frozen=True)
class Plan:
    """The levels that run, what they cost, and how much of the picture is noise at the start.

    levels         the levels evaluated, noisiest first, and the one the run ends on; empty when nothing runs
    network_calls  UNet evaluations for one picture, whole or shallow, each tile's; a guidance pair counts as one
    guided_calls   how many of them make more than one prediction
    rows           predictions for one picture that each of the UNet's graphs makes in all its calls
    predictions    how many those make: 2 for a guidance pair, 3 with an instruction
    calls          calls of each network, were each to take the whole batch at once
    noise_share    share of the start latents' variance that is noise, in [0, 1]
    reads_image    whether the source picture has any part in the result
    denoising_start, denoising_end  the shares of the noise levels between which the run stays, None for no limit
    peak_bytes     the most memory that the process is predicted to take, None where that is not known
    memory         what is done to keep it low
    seconds        about how long the run takes once its networks are loaded, None where that was not measured
    """

    dial: str
    strength: float
    steps: int
    sampler: str
    schedule: str
    levels: tuple[NoiseLevel, ...]
    network_calls: int
    guided_calls: int
    rows: dict[str, int]
    predictions: int
    calls: dict[str, int]
    noise_share: float
    reads_image: bool
    denoising_start: float | None = None
    denoising_end: float | None = None
    peak_bytes: int | None = None
    memory: str = ""
    seconds: float | None = None

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

    @property
    def vae(self) -> tuple[str, str]:
        """The networks that encode and decode."""
        return next(names for names in VAES.values() if names[0] in self.calls)

    def with_calls(self, *, encode: int | None = None, decode: int | None = None) -> "Plan":
        """The plan with other numbers of calls of the VAE; None leaves a number as it is."""
        asked = zip(self.vae, (encode, decode), strict=True)
        return replace(self, calls=self.calls | {name: count for name, count in asked if count is not None})

    def followed(self, begun: tuple[NoiseLevel, ...], predicted: Mapping[str, Sequence[int]]) -> "Plan":
        """The plan as it went: the levels whose steps were taken.

        ``predicted``: as `_evaluations`, what it took where that was not all.
        """
        if begun == self.levels[:-1]:
            return self
        made = {name: predicted.get(name, ()) for name in self.rows}
        return replace(self, levels=(*begun, self.levels[-1]), calls=self.calls | _calls(made), **_counted(made))

    def in_tiles(self, tiles: int) -> "Plan":
        """The plan for a picture of so many tiles, which the UNet and the VAE see one by one."""
        pictures = {name: count * (1 if name in TOKENIZERS else tiles) for name, count in self.calls.items()}
        return replace(
            self,
            network_calls=self.network_calls * tiles,
            guided_calls=self.guided_calls * tiles,
            rows={name: count * tiles for name, count in self.rows.items()},
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
        head = f"{self.sampler}, {self.schedule} schedule, {self.steps} steps, "
        if self.denoising_start is None:
            head += f"strength {self.strength:g} on the {self.dial} dial"
        else:
            head += f"going on at denoising_start {self.denoising_start:g}"
        if self.denoising_end is not None:
            head += f", to denoising_end {self.denoising_end:g}"
        if not self.levels:
            return f"{head}\nnothing runs: the picture is returned as it is"
        head += f"\nmemory: about {shown(self.peak_bytes)} at the peak; {self.memory}" if self.peak_bytes else ""
        head += f"\ntime: about {shown_time(self.seconds)}, once networks are loaded" if self.seconds else ""
        start = f"starts at sigma {self.start_sigma:.3f} (timestep {self.start_timestep:.1f})"
        share = f"noise is {100 * self.noise_share:.1f} % of the start"
        if not self.reads_image:
            share += ": the source picture plays no part"
        calls = ", ".join(f"{count} x {network}" for network, count in self.calls.items() if count)
        if 0 < self.guided_calls < self.network_calls or self.predictions > 2:
            calls += f" ({self.guided_calls} of them guidance {'triples' if self.predictions > 2 else 'pairs'})"
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
    guidance: str = "pair",
    texts: Mapping[str, int] | None = None,
) -> tuple[Plan, Part]:
    """The plan of a run and the part of the schedule it describes.

    ``sampler`` and ``schedule`` are the model's own, for settings that name none. Without an ``image`` the run
    is text-to-image: the whole schedule from pure noise, which is what strength 1 means on the continuous dial.
    With a ``mask`` the picture has a part in the result at every strength. ``guidance`` is the model's row of
    `GUIDED`; one that follows an "instruction" sees the picture and starts from pure noise. ``texts``: calls of each
    text encoder, if not those of a model with one. Raises `InputError` when nothing is left between denoising_start
    and -end.
    """
    start, end = settings.denoising_start, settings.denoising_end
    sampler, schedule = settings.sampler or sampler, settings.schedule or schedule
    instructed = guidance == "instruction"
    if not image or instructed:
        settings = replace(settings, strength=1.0, dial="continuous")
    if start is None:
        part = DIALS[settings.dial](settings.steps, settings.strength, spacing_of(schedule), trained)
    else:
        part = from_denoising_start(start, settings.steps, spacing_of(schedule), trained)
    if end is not None:
        part = until_denoising_end(part, end, trained)
    if part.schedule.steps == 0 and (start is not None or end is not None):
        raise InputError("no step begins between denoising_start and denoising_end; take more steps or move them apart")
    made = _evaluations(settings, part, sampler, trained, GUIDED[guidance])
    runs = part.schedule.steps > 0
    encoder, decoder = VAES[settings.vae]
    reads = part.image != 0 or mask or instructed
    texts = {"text_encoder": len(GUIDED[guidance].texts(settings))} if texts is None else texts
    plan = Plan(
        dial=settings.dial,
        strength=settings.strength,
        steps=settings.steps,
        sampler=sampler,
        schedule=schedule if isinstance(schedule, str) else getattr(schedule, "__name__", "custom"),
        levels=tuple(part.schedule.levels) if runs else (),
        predictions=len(GUIDED[guidance].views),
        calls={
            **{name: count * runs for name, count in texts.items()},
            encoder: int(runs and reads and start is None),
            **_calls(made),
            decoder: int(runs and end is None),
        },
        noise_share=part.noise_share,
        reads_image=reads,
        denoising_start=start,
        denoising_end=end,
        **_counted(made),
    )
    return plan, part


def plan_of(package: Package, settings: Settings, *, image: bool, mask: bool = False) -> tuple[Plan, Part]:
    """The plan of a run on a model, as `make_plan`; raises `InputError` for a setting that is not for its kind."""
    sizes.check(package.size_conditions, settings)
    if VAES[settings.vae][0] not in package.networks:
        raise InputError(f"this model has no {settings.vae} VAE; export it with one, or leave vae out")
    if settings.reuse and SHALLOW not in package.networks:
        raise InputError("this model has no shallow graph for reuse; export it with --split, or leave reuse out")
    asked = GUIDED[package.guidance].texts(settings)
    texts = dict.fromkeys(package.text_encoders, len(asked) - (False in asked and package.unprompted(settings)))
    own = (package.trained, package.sampler, package.schedule)
    return make_plan(settings, *own, image=image, mask=mask, guidance=package.guidance, texts=texts)


def _evaluations(
    settings: Settings, part: Part, sampler: str, trained: Trained, guidance: Guided
) -> dict[str, list[int]]:
    """Predictions for a picture of each evaluation by each of the UNet's graphs: the sampler itself, on one number."""
    made: dict[str, list[int]] = {"unet": []}
    reuse = Reuse(settings.reuse, len(trained.sigmas))

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        views = reuse.begin(level.timestep, len(guidance.seen_at(settings, level.sigma)))
        made.setdefault("unet" if reuse.full else SHALLOW, []).append(views)
        return x

    step = SAMPLERS[sampler].bound(trained, settings.eta)
    zero = np.zeros(1, np.float32)
    for _ in trajectory(denoise, step, part.schedule, zero, lambda *_: zero):
        pass
    return made


def _calls(made: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Calls of each of the UNet's graphs."""
    return {name: len(views) for name, views in made.items()}


def _counted(made: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """What a plan says of all evaluations together."""
    each = [views for some in made.values() for views in some]
    return {
        "network_calls": len(each),
        "guided_calls": sum(views > 1 for views in each),
        "rows": {name: sum(views) for name, views in made.items()},
    }
