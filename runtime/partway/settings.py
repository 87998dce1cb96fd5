"""What a user may set for one run, with every default in one place.

To add a setting, add a field to `Settings` with its line in the docstring and its range or check, its type to
`Options`, and its flag to `partway.cli.arguments`; a list also needs a row in `partway.cli.request`, for replays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypedDict

from partway import controls
from partway.controls import Control, IPAdapter
from partway.diffusion import names
from partway.diffusion.dials import DIALS
from partway.diffusion.guidance import Guidance
from partway.diffusion.noise import GENERATORS, drawn
from partway.diffusion.samplers.named import method_of
from partway.diffusion.schedules import Spacing
from partway.diffusion.written import Given, spacing_of
from partway.errors import MAX_SIDE, InputError, choose, is_integer, number
from partway.graphs import VAES
from partway.loras import Lora, chosen
from partway.prompts.given import named, skipped
from partway.prompts.syntaxes import SYNTAXES
from partway.support.keywords import refuse_unknown

MAX_STEPS = 1000
MAX_GUIDANCE = 1000
MAX_SIGMA = 1e6
MAX_SECONDS = 1e6

_RANGES: dict[str, tuple[float, float]] = {
    "strength": (0, 1),
    "steps": (1, MAX_STEPS),
    "guidance_scale": (0, MAX_GUIDANCE),
    "guidance_rescale": (0, 1),
    "image_guidance_scale": (0, MAX_GUIDANCE),
    "guidance_mimic": (0, MAX_GUIDANCE),
    "guidance_min_sigma": (0, MAX_SIGMA),
    "guidance_max_sigma": (0, MAX_SIGMA),
    "variation_strength": (0, 1),
    "eta": (0, 1),
    "colour_match": (0, 1),
    "reuse": (0, 1),
    "aesthetic_score": (0, 10),
    "negative_aesthetic_score": (0, 10),
    "denoising_start": (0, 1),
    "denoising_end": (0, 1),
    "deadline": (0, MAX_SECONDS),
}
"""The least and the greatest value of each setting that is a number; None is allowed where it is the default."""


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
    prompt_2: str | None
    negative_prompt_2: str | None
    prompt_syntax: str
    clip_skip: int | str
    embeddings: Mapping[str, str] | Sequence[Sequence[str]]
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
    loras: Mapping[str, float | Mapping[str, Any]] | Sequence[Lora]
    control: Control | Sequence[Control]
    ip_adapter: IPAdapter | None


@dataclass(frozen=True)
class Settings:
    """One run's settings. They are checked when made; `InputError` names the field and its range.

    Numbers become Python's own, whatever they came as: a NumPy scalar would turn float32 latents into float64.

    strength           0 .. 1, how much of the picture noise replaces; ``dial`` says what the number means
    steps              1 .. 1000, of the full schedule; image-to-image runs the part that strength selects
    guidance_scale     0 .. 1000. At 1 and below the network makes no second prediction, and the negative prompt has
                       no effect. Models distilled with guidance take the scale as an input and no negative prompt.
                       Samplers with CFG++ divide it by 12.5 to get the paper's lambda, which ComfyUI asks for directly
    guidance_rescale   0 .. 1 (Lin et al. 2023, arXiv 2305.08891, section 3.4)
    image_guidance_scale  0 .. 1000, how much a model that follows instructions keeps to the picture (Brooks et al.
                       2023, arXiv 2211.09800); it has an effect where guidance_scale is above 1
    guidance_zero_star  whether to scale the unconditional prediction to fit the conditional one first, as CFG-Zero*
                       does (Fan et al. 2025, arXiv 2503.18886). It needs two predictions: instructions make three
    guidance_mimic     0 .. 1000, a lower guidance_scale whose range of values the output keeps to (dynamic
                       thresholding); None for no limit. It needs two predictions: instructions make three
    guidance_min_sigma, guidance_max_sigma  the noise levels above the first, up to the second, have guidance; others
                       make no second prediction (Kynkaanniemi et al. 2024, arXiv 2404.07724); None for no limit
    prompt_2, negative_prompt_2  what the second of two text encoders reads (SDXL); None for what the first does
    prompt_syntax      "plain": all of a prompt is text, cut where the model takes no more. "a1111", "comfyui" and
                       "compel" read weights as those tools do, and texts of any length (`partway.prompts`)
    clip_skip          how many of the text encoders' last layers are left out, as diffusers counts: 0 for none. A
                       number below 0 counts as ComfyUI does, -2 for one, and "a1111:2" as A1111 does
    embeddings         textual inversions, ``{"name": "file.safetensors"}``: a text that has the name is given the
                       file's vectors in its place
    seed               one integer, or several for one picture each; -2**63 .. 2**64 - 1; -1 draws one
    variation_seed, variation_strength  the start noise is rotated towards the noise of another seed; 0 .. 1 of the
                       angle between both
    sampler, schedule  names in `partway.SAMPLERS` and `partway.SCHEDULES`, or those of diffusers, A1111 and ComfyUI;
                       None for the model's own. A schedule can also be a function, or levels in `partway.Given`,
                       which also set the number of steps
    eta                0 .. 1, the share of new noise in samplers that have an eta; None for the sampler's default
    rng                "torch-cpu" or "torch-cuda": the random number generator that a seed is for
    colour_match       0 .. 1, how far the result's mean colour and contrast move to the source's
    tile, tile_overlap  pixels. Networks run on square tiles of the picture, which are blended in every step, so that
                       memory does not grow with the picture. A tile of 0 has the size that the model was made for, or
                       up to a quarter more where that is less work, and overlaps by at least an eighth of that size.
                       None for no tiles, and for an overlap of a quarter of a tile
    reuse              0 .. 1, how long the UNet's deep features are reused: for this share of the distance, in
                       timesteps, from pure noise, and for less in the noisier half of the schedule. Until then steps
                       run only the UNet's outermost layers (`partway.diffusion.reuse`); 0 reuses nothing
    vae_tile           pixels, the tile of the VAE alone; None for ``tile``
    vae                "own" for the model's VAE, "tiny" for the tiny autoencoder that the package has beside it,
                       "tiny-decoder" for the model's own encoder and the decoder of that
    original_size, target_size  (width, height), conditions of SDXL; None for the size of what its UNet sees
    crop               (left, top), a condition of SDXL: how far its training picture was cropped; None for (0, 0)
    aesthetic_score, negative_aesthetic_score  0 .. 10, conditions of SDXL's refiner; None for 6 and 2.5
    denoising_end      above 0, below 1: the share of the noise levels after which the run ends with `Latents` instead
                       of pictures; None for the end
    denoising_start    the share at which a run goes on from such latents, as its `denoising_end` was; strength has no
                       effect on it
    deadline           seconds that a run may take. It drops steps when they turn out too slow, and decodes its
                       estimate of the picture when the time is up (`partway.run.deadline`); None for no limit
    loras              adapters (LoRA and relatives), ``{"film.safetensors": 0.8}``: files, and how much of each counts.
                       In place of the number a mapping may give ``unet``, ``text`` and ``blocks`` apart, as `Lora` has
    control            pictures that guide the run through ControlNets and T2I-Adapters, each a `partway.Control`
    ip_adapter         a picture that counts as a part of the prompt, a `partway.IPAdapter`
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
    prompt_2: str | None = None
    negative_prompt_2: str | None = None
    prompt_syntax: str = "plain"
    clip_skip: int | str = 0
    embeddings: Mapping[str, str] | Sequence[Sequence[str]] = ()
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
    loras: Mapping[str, float | Mapping[str, Any]] | Sequence[Lora] = ()
    control: Control | Sequence[Control] = ()
    ip_adapter: IPAdapter | None = None

    def __new__(cls, *values: object, **given: object) -> Self:
        """Refuse names that are no settings, which Python would call a `TypeError`."""
        refuse_unknown("setting", given, Options.__annotations__, names.SETTING_ALIASES)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        store = partial(object.__setattr__, self)  # a frozen record has no other setter
        self._check_numbers(store)
        self._check_sizes(store)
        if not isinstance(self.guidance_zero_star, bool):
            raise InputError(f"guidance_zero_star must be True or False, not {self.guidance_zero_star!r}")
        _text("negative_prompt", self.negative_prompt)
        for name in ("prompt_2", "negative_prompt_2"):
            if getattr(self, name) is not None:
                _text(name, getattr(self, name))
        choose("prompt_syntax", self.prompt_syntax, SYNTAXES)
        store("clip_skip", skipped(self.clip_skip))
        store("embeddings", named(self.embeddings))
        store("seed", tuple(map(drawn, self.seed)) if isinstance(self.seed, Iterable) else drawn(self.seed))
        store("variation_seed", drawn(self.variation_seed))
        if not self.seeds:
            raise InputError("seed must be an integer, or several for one picture each, not none")
        store("loras", chosen(self.loras))
        store("control", controls.chosen(self.control))
        store("ip_adapter", controls.image_prompt(self.ip_adapter))
        self._find_sampler_and_schedule(store)
        self._check_hand_over()
        choose("dial", self.dial, DIALS)
        choose("vae", self.vae, VAES)
        choose("rng", self.rng, GENERATORS)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each picture."""
        return (self.seed,) if isinstance(self.seed, int) else tuple(self.seed)

    @property
    def inversions(self) -> tuple[tuple[str, str], ...]:
        """Names and files of the embeddings."""
        return named(self.embeddings)

    @property
    def layers_skipped(self) -> int:
        """``clip_skip`` as diffusers counts."""
        return skipped(self.clip_skip)

    @property
    def adapters(self) -> tuple[Lora, ...]:
        """The adapters, in the order in which they were given."""
        return chosen(self.loras)

    @property
    def controls(self) -> tuple[Control, ...]:
        """What guides the run by pictures, in the order in which it was given."""
        return controls.chosen(self.control)

    @property
    def guidance(self) -> Guidance:
        """How two predictions become one, where a guided step makes two."""
        return Guidance(self.guidance_scale, self.guidance_rescale, self.guidance_zero_star, self.guidance_mimic)

    @property
    def guided(self) -> bool:
        """Whether some noise level needs an unconditional prediction too."""
        return self.guidance_scale > 1

    def guided_at(self, sigma: float) -> bool:
        """Whether the noise level ``sigma`` needs an unconditional prediction too."""
        low, high = self.guidance_min_sigma, self.guidance_max_sigma
        return self.guided and low < sigma and (high is None or sigma <= high)

    def _check_numbers(self, store: Callable[[str, object], None]) -> None:
        for name, (low, high) in _RANGES.items():
            value, default = getattr(self, name), getattr(type(self), name)
            if value is not None or default is not None:
                store(name, number(name, value, low, high))
        if not float(self.steps).is_integer():
            raise InputError(f"steps must be a whole number, not {self.steps!r}")
        store("steps", int(self.steps))

    def _check_sizes(self, store: Callable[[str, object], None]) -> None:
        """Store what counts in pixels."""
        for name in ("tile", "vae_tile"):
            if (tile := getattr(self, name)) is not None:
                least = 0 if name == "tile" and tile == 0 else 8
                store(name, int(number(name, tile, least, MAX_SIDE)))
        if self.tile_overlap is not None:
            limit = (self.tile or MAX_SIDE) // 2
            store("tile_overlap", int(number("tile_overlap", self.tile_overlap, 0, limit)))
        for name in ("original_size", "crop", "target_size"):
            if (pair := getattr(self, name)) is not None:
                store(name, _pair(name, pair, 0 if name == "crop" else 1))

    def _find_sampler_and_schedule(self, store: Callable[[str, object], None]) -> None:
        """Store their names here; an A1111 label of a sampler may also name the schedule, and a list sets the steps."""
        if self.sampler is not None:
            sampler, schedule = names.sampler(_text("sampler", self.sampler))
            method_of(sampler).check_eta(self.eta)
            store("sampler", sampler)
            if self.schedule is None:
                store("schedule", schedule)
        if self.schedule is not None and not callable(self.schedule):
            store("schedule", names.schedule(_text("schedule", self.schedule)))
        if self.schedule is not None and isinstance(levels := spacing_of(self.schedule), Given):
            store("schedule", levels.__name__)
            store("steps", levels.steps)

    def _check_hand_over(self) -> None:
        for name in ("denoising_start", "denoising_end"):
            if (share := getattr(self, name)) in (0, 1):
                raise InputError(f"{name} must be above 0 and below 1, not {share!r}; leave it out for all steps")
        if self.denoising_start is not None and self.denoising_start >= (self.denoising_end or 1):
            raise InputError(
                f"denoising_start must be below denoising_end, not {self.denoising_start!r} and {self.denoising_end!r}"
            )
        if self.deadline is not None and self.denoising_end is not None:
            raise InputError("a run that is handed over has no deadline; leave out deadline or denoising_end")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}")
    return value


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(pair) != 2 or not all(is_integer(one, least, MAX_SIDE) for one in pair):
        raise InputError(f"{name} must be two whole numbers of pixels between {least} and {MAX_SIDE}, not {value!r}")
    return int(pair[0]), int(pair[1])
