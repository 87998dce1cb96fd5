"""What a user may set for one run, with every default in one place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypedDict

import numpy as np

from partway.diffusion import names
from partway.diffusion.dials import DIALS
from partway.diffusion.guidance import Guidance
from partway.diffusion.noise import GENERATORS
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.schedules import Given, Spacing, spacing_of
from partway.errors import InputError, choose, number
from partway.graphs import VAES
from partway.support.keywords import refuse_unknown

MAX_STEPS = 1000
MAX_GUIDANCE = 1000
MAX_SIGMA = 1e6
MAX_TILE = 16384
MAX_SIZE = 16384
MAX_SECONDS = 1e6


class Options(TypedDict, total=False):
    """The keyword arguments of `img2img`, `txt2img`, `stream` and `plan`: any field of `Settings`."""

    strength: float
    steps: int
    guidance_scale: float
    guidance_rescale: float
    image_guidance_scale: float
    guidance_zero_star: bool
    guidance_mimic: float | None
    guidance_min_sigma: float
    guidance_max_sigma: float | None
    negative_prompt: str
    seed: int | Sequence[int]
    variation_seed: int
    variation_strength: float
    sampler: str | None
    schedule: str | Spacing | None
    dial: str
    eta: float | None
    rng: str
    colour_match: float
    tile: int | None
    tile_overlap: int | None
    reuse: float
    vae_tile: int | None
    vae: str
    original_size: tuple[int, int] | None
    crop: tuple[int, int] | None
    target_size: tuple[int, int] | None
    aesthetic_score: float | None
    negative_aesthetic_score: float | None
    denoising_start: float | None
    denoising_end: float | None
    deadline: float | None


@dataclass(frozen=True)
class Settings:
    """One run's settings, checked when made; raises `InputError` naming the field and its range.

    Numbers are kept as Python's own, whatever they came as: latents times one of NumPy's would be float64.

    strength           0 .. 1, how far back the picture goes towards noise; what the number means is the dial's
    steps              1 .. 1000, of the whole schedule; image-to-image runs the part that strength selects
    guidance_scale     0 .. 1000; at 1 and below there is no second network call and the negative prompt has no effect;
                       models distilled with guidance take it as an input, and no negative prompt at all. Samplers with
                       CFG++ divide it by 12.5 for the paper's lambda, which ComfyUI asks for as it is
    guidance_rescale   0 .. 1 (Lin et al. 2023, arXiv 2305.08891, section 3.4)
    image_guidance_scale  0 .. 1000, how much a model that follows instructions keeps to the picture (Brooks et al.
                       2023, arXiv 2211.09800); it counts where guidance_scale is above 1
    guidance_zero_star  whether the unconditional prediction is first scaled to fit the conditional one, as in
                       CFG-Zero* (Fan et al. 2025, arXiv 2503.18886); of two predictions, so not with instructions
    guidance_mimic     0 .. 1000, the lower guidance_scale whose range of values a high one keeps to (dynamic
                       thresholding); None is its own; of two predictions, so not with instructions
    guidance_min_sigma, guidance_max_sigma  guidance at noise levels above the one, up to the other, and no second
                       prediction outside (Kynkaanniemi et al. 2024, arXiv 2404.07724); None is no limit
    seed               one integer, or several for one picture each; -2**63 .. 2**64 - 1
    variation_seed, variation_strength  0 .. 1, how far the start noise turns towards another seed's
    sampler, schedule  names in `partway.SAMPLERS` and `partway.SCHEDULES`, or what diffusers, A1111 and ComfyUI call
                       them; None takes the model's own. A schedule can also be a function, or `partway.Given` levels,
                       which then say how many steps there are
    eta                0 .. 1, share of fresh noise for the samplers that have one; None takes the sampler's own
    rng                "torch-cpu" or "torch-cuda": whose normal numbers a seed stands for
    colour_match       0 .. 1, how far the result's mean colour and contrast are pulled back to the source's
    tile, tile_overlap  pixels: networks see square tiles of the picture, blended in every step, so that memory does
                       not grow with it. A tile of 0 is of the size that the model was made for, or up to a quarter
                       more where that is less work, and overlaps by an eighth of that size or more. None for whole
                       pictures, and for a quarter of a tile
    reuse              0 .. 1, the share of the way from pure noise, in timesteps, that the UNet's deep features are
                       kept for, less of it in the noisier half: within it, only its outermost layers are
                       evaluated (`partway.diffusion.reuse`)
    vae_tile           pixels: the same for the VAE alone; None for ``tile``
    vae                "own", or "tiny" for the tiny autoencoder that the package has beside the model's own VAE
    original_size, target_size  (width, height) that SDXL is told; None for those of what its UNet sees
    crop               (left, top) that SDXL is told, how far the picture was cut; None for (0, 0)
    aesthetic_score, negative_aesthetic_score  0 .. 10, told to SDXL's refiner; None for 6 and 2.5
    denoising_end      above 0, below 1: the run ends where this share of the noise levels is behind it, and gives
                       `Latents` instead of pictures; None for the end
    denoising_start    the same for a run that goes on from such latents; strength has no part in it
    deadline           seconds that a run may take: when its steps turn out too slow it drops some, and when its time is
                       up it decodes its estimate of the picture (`partway.run.deadline`); None for no limit
    """

    strength: float = 0.6
    steps: int = 20
    guidance_scale: float = 7.5
    guidance_rescale: float = 0.0
    image_guidance_scale: float = 1.5
    guidance_zero_star: bool = False
    guidance_mimic: float | None = None
    guidance_min_sigma: float = 0.0
    guidance_max_sigma: float | None = None
    negative_prompt: str = ""
    seed: int | Sequence[int] = 0
    variation_seed: int = 0
    variation_strength: float = 0.0
    sampler: str | None = None
    schedule: str | Spacing | None = None
    dial: str = "continuous"
    eta: float | None = None
    rng: str = "torch-cpu"
    colour_match: float = 0.0
    tile: int | None = None
    tile_overlap: int | None = None
    reuse: float = 0.0
    vae_tile: int | None = None
    vae: str = "own"
    original_size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    aesthetic_score: float | None = None
    negative_aesthetic_score: float | None = None
    denoising_start: float | None = None
    denoising_end: float | None = None
    deadline: float | None = None

    def __new__(cls, *values: object, **given: object) -> Self:
        """Refuse names that are no settings, which Python would call a `TypeError`."""
        refuse_unknown("setting", given, Options.__annotations__, names.SETTING_ALIASES)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        keep = partial(object.__setattr__, self)  # the one way to set a field of a frozen record
        keep("strength", number("strength", self.strength, 0, 1))
        keep("guidance_scale", number("guidance_scale", self.guidance_scale, 0, MAX_GUIDANCE))
        keep("guidance_rescale", number("guidance_rescale", self.guidance_rescale, 0, 1))
        keep("image_guidance_scale", number("image_guidance_scale", self.image_guidance_scale, 0, MAX_GUIDANCE))
        if not isinstance(self.guidance_zero_star, bool):
            raise InputError(f"guidance_zero_star must be True or False, not {self.guidance_zero_star!r}")
        if self.guidance_mimic is not None:
            keep("guidance_mimic", number("guidance_mimic", self.guidance_mimic, 0, MAX_GUIDANCE))
        keep("guidance_min_sigma", number("guidance_min_sigma", self.guidance_min_sigma, 0, MAX_SIGMA))
        if self.guidance_max_sigma is not None:
            keep("guidance_max_sigma", number("guidance_max_sigma", self.guidance_max_sigma, 0, MAX_SIGMA))
        if self.eta is not None:
            keep("eta", number("eta", self.eta, 0, 1))
        if not number("steps", self.steps, 1, MAX_STEPS).is_integer():
            raise InputError(f"steps must be a whole number, not {self.steps!r}")
        keep("steps", int(self.steps))
        _text("negative_prompt", self.negative_prompt)
        keep("seed", tuple(map(_seed, self.seed)) if isinstance(self.seed, Iterable) else _seed(self.seed))
        keep("variation_seed", _seed(self.variation_seed))
        keep("variation_strength", number("variation_strength", self.variation_strength, 0, 1))
        keep("colour_match", number("colour_match", self.colour_match, 0, 1))
        if self.deadline is not None:
            keep("deadline", number("deadline", self.deadline, 0, MAX_SECONDS))
            if self.denoising_end is not None:
                raise InputError("a run that is handed over has no deadline; leave out deadline or denoising_end")
        keep("reuse", number("reuse", self.reuse, 0, 1))
        if not self.seeds:
            raise InputError("seed must be an integer, or several for one picture each, not none")
        if self.sampler is not None:
            found, along = names.sampler(_text("sampler", self.sampler))
            SAMPLERS[found].check_eta(self.eta)
            keep("sampler", found)
            if self.schedule is None:
                keep("schedule", along)
        if self.schedule is not None and not callable(self.schedule):
            keep("schedule", names.schedule(_text("schedule", self.schedule)))
        if self.schedule is not None and isinstance(given := spacing_of(self.schedule), Given):
            keep("schedule", given.__name__)
            keep("steps", given.steps)
        for name in ("tile", "vae_tile"):
            if (tile := getattr(self, name)) is not None:
                least = 0 if name == "tile" and tile == 0 else 8
                keep(name, int(number(name, tile, least, MAX_TILE)))
        if self.tile_overlap is not None:
            limit = (self.tile or MAX_TILE) // 2
            keep("tile_overlap", int(number("tile_overlap", self.tile_overlap, 0, limit)))
        for name in ("original_size", "crop", "target_size"):
            if (pair := getattr(self, name)) is not None:
                keep(name, _pair(name, pair, 0 if name == "crop" else 1))
        for name in ("aesthetic_score", "negative_aesthetic_score"):
            if (score := getattr(self, name)) is not None:
                keep(name, number(name, score, 0, 10))
        for name in ("denoising_start", "denoising_end"):
            if (share := getattr(self, name)) is not None:
                keep(name, number(name, share, 0, 1))
                if share in (0, 1):
                    raise InputError(f"{name} must be above 0 and below 1, not {share!r}; leave it out for all steps")
        if self.denoising_start is not None and self.denoising_start >= (self.denoising_end or 1):
            raise InputError(
                f"denoising_start must be below denoising_end, not {self.denoising_start!r} and {self.denoising_end!r}"
            )
        choose("dial", self.dial, DIALS)
        choose("vae", self.vae, VAES)
        choose("rng", self.rng, GENERATORS)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each picture."""
        return (self.seed,) if isinstance(self.seed, int) else tuple(self.seed)

    @property
    def guidance(self) -> Guidance:
        """What is made of both predictions where there are two."""
        return Guidance(self.guidance_scale, self.guidance_rescale, self.guidance_zero_star, self.guidance_mimic)

    @property
    def guided(self) -> bool:
        """Whether a second, unconditional prediction is needed at some level."""
        return self.guidance_scale > 1

    def guided_at(self, sigma: float) -> bool:
        """Whether it is needed at this one."""
        low, high = self.guidance_min_sigma, self.guidance_max_sigma
        return self.guided and low < sigma and (high is None or sigma <= high)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}")
    return value


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    whole = (isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in pair)
    if len(pair) != 2 or not all(whole) or not all(least <= one <= MAX_SIZE for one in pair):
        raise InputError(f"{name} must be two whole numbers of pixels between {least} and {MAX_SIZE}, not {value!r}")
    return int(pair[0]), int(pair[1])


def _seed(value: Any) -> int:
    known = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not known or not -(2**63) <= int(value) < 2**64:
        raise InputError(f"seed must be an integer between -2**63 and 2**64 - 1, not {value!r}")
    return int(value)
