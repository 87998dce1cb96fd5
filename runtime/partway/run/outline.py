"""What a run does on any machine: the part of the schedule, the UNet's evaluations, and the calls of each network."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from partway.diffusion.dials import DIALS, Part, from_denoising_start, until_denoising_end
from partway.diffusion.levels import Trained
from partway.diffusion.schedules import Spacing
from partway.diffusion.written import spacing_of
from partway.errors import InputError
from partway.graphs import IMAGE_ADAPTER, IMAGE_ENCODER, SHALLOW, TINY, VAES
from partway.model import sizes, tiles
from partway.model.conditions import GuidanceMode
from partway.model.control_units import ControlUnit, ImagePrompt
from partway.model.package import Package
from partway.run.evaluations import Evaluations, evaluations
from partway.run.plans import Plan, counted
from partway.run.starts import Start
from partway.settings import Settings


class Kind(NamedTuple):
    """The fields of `Package` that an outline needs; the defaults are Stable Diffusion 1.5's."""

    trained: Trained
    sampler: str = "dpmpp_2m"
    schedule: str = "leading"
    grid: str = "leading"
    guidance: str = "pair"
    inpaints: bool = False
    text_encoders: tuple[str, ...] = ("text_encoder",)
    unprompted: Callable[[Settings], bool] = lambda settings: False
    control_units: tuple[ControlUnit, ...] = ()
    image_prompt: ImagePrompt | None = None

    @classmethod
    def of(cls, package: Package) -> "Kind":
        """That of a package."""
        return cls(*(getattr(package, name) for name in cls._fields))

    def schedule_of(self, settings: Settings) -> str | Spacing:
        """The schedule of a run: the user's, else the model's own, which goes with its own sampler."""
        return settings.schedule or (self.grid if settings.sampler else self.schedule)


def check(package: Package, settings: Settings) -> None:
    """Raise `InputError` for a setting that is not for this kind of model."""
    tiles.check(package, settings)
    sizes.check(package.size_conditions, settings)
    if missing := [name for name in VAES[settings.vae] if name in TINY and name not in package.networks]:
        raise InputError(
            f"this model has no {missing[0]}, so no {settings.vae} VAE; export it with one, or leave vae out"
        )
    for name in ("prompt_2", "negative_prompt_2"):
        if getattr(settings, name) is not None and len(package.text_encoders) < 2:
            raise InputError(f"{name} is for models of two text encoders (SDXL), and this one has one; leave it out")
    if settings.reuse and SHALLOW not in package.networks:
        raise InputError("this model has no shallow graph for reuse; export it with --split, or leave reuse out")


def check_calls(package: Package, plan: Plan) -> None:
    """Raise `InputError` for a run that encodes a picture with a model that has no network for it."""
    encoder = plan.vae[0]
    if plan.calls[encoder] and encoder not in package.networks:
        raise InputError(f"this model has no {encoder}, so it makes pictures from a prompt alone: use txt2img")


def outline(
    kind: Kind, settings: Settings, start: Start, mode: GuidanceMode, *, decode: bool = True
) -> tuple[Plan, Part]:
    """The plan of a run on a picture of one tile, and the part of the schedule that runs.

    Text-to-image, and models that follow instructions, run the whole schedule from pure noise, which is what strength
    1 means on the continuous dial. Raises `InputError` when no step is left between denoising_start and denoising_end.
    """
    if start.text_to_image or kind.guidance == "instruction":
        settings = replace(settings, strength=1.0, dial="continuous")
    sampler, schedule = settings.sampler or kind.sampler, kind.schedule_of(settings)
    part = part_of(kind, settings)
    begun = Evaluations(settings, mode, kind.trained, kind.control_units, part.schedule.sigmas)
    all_of = evaluations(begun, kind.trained, sampler=sampler, part=part)
    made = counted(all_of.made)
    keeps = start.edit is not None and not kind.inpaints  # what lies outside the mask, at any strength
    reads = part.image != 0 or keeps or kind.guidance == "instruction"
    encoder, decoder = VAES[settings.vae]
    runs = part.schedule.steps > 0
    calls = _texts(kind, settings, mode, runs=runs)
    calls |= {encoder: _encodes(kind, settings, start, reads=reads) * runs}
    calls |= dict.fromkeys((IMAGE_ENCODER, IMAGE_ADAPTER) if kind.image_prompt else (), int(runs))
    calls |= all_of.control_calls | made.pop("calls")
    calls |= {decoder: _decodes(settings, start, runs=runs) * decode}
    plan = Plan(
        dial=settings.dial,
        strength=settings.strength,
        steps=settings.steps,
        sampler=sampler,
        schedule=schedule if isinstance(schedule, str) else getattr(schedule, "__name__", "custom"),
        levels=tuple(part.schedule.levels) if runs else (),
        predictions=len(mode.conditions),
        calls=calls,
        noise_share=part.noise_share,
        reads_image=reads,
        denoising_start=settings.denoising_start,
        denoising_end=settings.denoising_end,
        **made,
    )
    return plan, part


def part_of(kind: Kind, settings: Settings) -> Part:
    """The part of the schedule that image-to-image with these settings runs; raises as `outline`."""
    start, end = settings.denoising_start, settings.denoising_end
    spacing = spacing_of(kind.schedule_of(settings))
    if start is None:
        part = DIALS[settings.dial](settings.steps, settings.strength, spacing, kind.trained)
    else:
        part = from_denoising_start(start, settings.steps, spacing, kind.trained)
    if end is not None:
        part = until_denoising_end(part, end, kind.trained)
    if part.schedule.steps == 0 and (start is not None or end is not None):
        raise InputError("no step begins between denoising_start and denoising_end; take more steps or move them apart")
    return part


def _texts(kind: Kind, settings: Settings, mode: GuidanceMode, *, runs: bool) -> dict[str, int]:
    """Calls of each text encoder, for short texts: the prompts, and the negative one where it is read."""
    prompts = {condition.joined if condition.prompt else -1 for condition in mode.needed(settings)}
    if kind.unprompted(settings):
        prompts -= {-1}
    return dict.fromkeys(kind.text_encoders, len(prompts) * runs)


def _encodes(kind: Kind, settings: Settings, start: Start, *, reads: bool) -> int:
    """Pictures that are encoded: the source, and for an inpainting model also the source without what is masked."""
    if start.text_to_image or start.latents is not None or settings.denoising_start is not None:
        return 0
    return reads + kind.inpaints


def _decodes(settings: Settings, start: Start, *, runs: bool) -> bool:
    """Whether there are latents to decode: a run's, unless it hands them on, or those that it was handed undecoded."""
    undecoded = start.latents is not None and not start.untouched
    return (runs or undecoded) and settings.denoising_end is None
