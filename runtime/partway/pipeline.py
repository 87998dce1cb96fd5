"""From picture and prompt to picture in one straight line: `Pipeline.stream` decides, `Pipeline._work` does it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Unpack

from partway.budget.planner import Planner
from partway.diffusion.names import SETTING_ALIASES
from partway.diffusion.samplers.named import method_of
from partway.diffusion.sampling import State, trajectory
from partway.engines import ENGINES, Engine, open_engine
from partway.engines.weights import Openable
from partway.errors import InputError, is_integer
from partway.model.adapted import Adaptation
from partway.model.control_units import Built, with_controls
from partway.model.encoders import Encoders, Posteriors, Texts
from partway.model.inversions import inversions, taking_vectors
from partway.model.networks import Networks
from partway.model.package import Package
from partway.model.swapped import Adapted
from partway.model.tokens import Tokenizer
from partway.model.words import Embeds, Prompt, joined
from partway.pictures import images, masks, outpaint
from partway.run import entries, starts
from partway.run.ahead import open_ahead
from partway.run.beginnings import begin
from partway.run.clock import Clock
from partway.run.deadline import DecodeTimes, Ration
from partway.run.endings import arrived, decoded, unchanged
from partway.run.latents import Latents
from partway.run.planned import Planned
from partway.run.plans import Plan
from partway.run.results import Result, Run, Step
from partway.settings import Options, Settings
from partway.support.ahead import ahead, lending
from partway.support.caching import Recent
from partway.support.keywords import keywords

_ANY = "a picture"


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A loaded model. Its runs, from any thread, share the engine and what is remembered of earlier ones.

    tokenizers   one for each of the package's text encoders
    planner      decides what a run does
    texts, pictures  the last that were encoded
    decode_times  how long decoding took, for runs that have a deadline
    adapted      the networks of the last run that had adapters
    controls     the last ControlNets and adapters
    crew         others of the same model, which run at the same time in a batch
    """

    package: Package
    engine: Engine
    tokenizers: tuple[Tokenizer, ...]
    planner: Planner = field(default_factory=Planner)
    texts: Texts = field(default_factory=lambda: Recent(32))
    pictures: Posteriors = field(default_factory=lambda: Recent(4))
    decode_times: DecodeTimes = field(default_factory=DecodeTimes)
    adapted: Adapted = field(default_factory=Adapted)
    controls: Built = field(default_factory=lambda: Recent(4))
    crew: list["Pipeline"] = field(default_factory=list)

    @keywords(SETTING_ALIASES)
    def img2img(
        self,
        image: images.Source | Result | Latents,
        prompt: Prompt,
        *,
        decode: bool = True,
        **settings: Unpack[Options],
    ) -> Result:
        """Restyle a picture (a path, a PIL picture or an array); the result has its size.

        Given an earlier result, or its `Latents`, it goes on from the latents, so that nothing is lost by a decode and
        an encode. Those of a run that ended at its ``denoising_end`` need that as ``denoising_start``, as for SDXL's
        refiner. With ``decode`` False it makes no picture, only what the next call needs.
        Raises a `partway.PartwayError` that says what was wrong and what to do.
        """
        return self.stream(prompt, image, decode=decode, **settings).result()

    @keywords(SETTING_ALIASES)
    def inpaint(
        self,
        image: images.Source,
        mask: images.Source,
        prompt: Prompt,
        *,
        only_masked: bool = False,
        padding: int = masks.PADDING,
        mask_blur: float = 0,
        **settings: Unpack[Options],
    ) -> Result:
        """Change a picture where ``mask``, a grey picture of its size, is not black; grey is a part of the strength.

        ``only_masked`` works on the mask's surroundings, ``padding`` pixels wide, enlarged to the model's size.
        ``mask_blur`` is how many pixels inside the mask the change fades in over. Outside it no byte changes.
        """
        around = padding if only_masked else None
        edit = masks.edit(images.read(image), mask, blur=mask_blur, padding=around, size=self.package.size)
        return self.stream(prompt, edit, **settings).result()

    @keywords(SETTING_ALIASES)
    def outpaint(
        self,
        image: images.Source,
        prompt: Prompt,
        *,
        left: int = 0,
        top: int = 0,
        right: int = 0,
        bottom: int = 0,
        feather: int = outpaint.FEATHER,
        **settings: Unpack[Options],
    ) -> Result:
        """Continue a picture by so many pixels on each side; it changes only ``feather`` pixels deep at the seam."""
        margins = outpaint.Margins(left, top, right, bottom)
        return self.stream(prompt, outpaint.edit(images.read(image), margins, feather), **settings).result()

    @keywords(SETTING_ALIASES)
    def instruct(self, image: images.Source, instruction: str, **settings: Unpack[Options]) -> Result:
        """Change a picture by an instruction, like "make it snowy", with a model for those (InstructPix2Pix).

        ``guidance_scale`` is how far it goes, ``image_guidance_scale`` how much it keeps; strength has no part in it.
        """
        return self.stream(instruction, image, instruct=True, **settings).result()

    @keywords(SETTING_ALIASES)
    def upscale(
        self, image: images.Source, prompt: str = "", *, scale: float = 2.0, **settings: Unpack[Options]
    ) -> Result:
        """Enlarge a picture ``scale`` times and refine it in tiles (``tile=0``); strength is 0.3 by default."""
        return self.stream_upscale(prompt, image, scale=scale, **settings).result()

    @keywords(SETTING_ALIASES)
    def stream_upscale(
        self, prompt: str, image: images.Source, *, scale: float = 2.0, **settings: Unpack[Options]
    ) -> Run:
        """As `upscale`, to iterate over."""
        chosen: Options = {"strength": 0.3, "tile": 0, **settings}
        return self.stream(prompt, images.enlarged(images.read(image), scale), **chosen)

    @keywords(SETTING_ALIASES)
    def txt2img(
        self,
        prompt: Prompt,
        *,
        width: int | None = None,
        height: int | None = None,
        decode: bool = True,
        **settings: Unpack[Options],
    ) -> Result:
        """Make a picture from a prompt alone, of any size, by default the model's own; strength has no part in it."""
        return self.stream(prompt, width=width, height=height, decode=decode, **settings).result()

    @keywords(SETTING_ALIASES)
    def batch(
        self,
        pictures: Iterable[images.Source | Mapping[str, Any]],
        prompt: Prompt = "",
        *,
        at_once: int | None = None,
        **settings: Unpack[Options],
    ) -> Iterator[entries.Done]:
        """Restyle many pictures, ``at_once`` at the same time, while others are read and results are looked at.

        Each is a picture, or a mapping: ``picture``, and what it has of its own, ``prompt``, ``mask`` (and the other
        arguments of `inpaint`), ``name`` and any setting. Its seed follows from its name, by default its file's, and
        ``seed`` (`partway.run.entries.seed_of`). Results come in the order of the pictures, each with its entry; one
        of a picture that cannot be read or run has no ``result``, but a ``problem``.
        """
        Settings(**entries.seeded("", settings, {}))  # refused before anything is read
        given = (entries.entry_of(item, number, prompt, settings) for number, item in enumerate(pictures))
        found = ahead(partial(entries.attempted, size=self.package.size), given)
        return lending([one.stream for one in self.beside(at_once)], entries.ran, found)

    def beside(self, at_once: int | None = None) -> list["Pipeline"]:
        """So many pipelines of this model that run at the same time; by default `EngineOptions.at_once`.

        They share networks where the engine runs several calls at once, and are kept for the next time.
        """
        count = self.planner.options.at_once if at_once is None else at_once
        if not is_integer(count, 1, 1000):
            raise InputError(f"at_once must be a whole number of at least 1, not {at_once!r}")
        while len(self.crew) < count - 1:
            self.crew.append(self._another())
        return [self, *self.crew[: count - 1]]

    def _another(self) -> "Pipeline":
        """A pipeline that runs at the same time as this one."""
        if ENGINES[self.planner.engine or "onnxruntime"].concurrent:
            return replace(self, pictures=Recent(1), crew=[])
        return Pipeline(self.package, self._open(self.package.networks), self.tokenizers, self.planner, self.texts)

    @keywords(SETTING_ALIASES)
    def plan(
        self,
        *,
        image: bool | starts.ImageInput = True,
        width: int | None = None,
        height: int | None = None,
        decode: bool = True,
        prompt: Prompt | None = None,
        **settings: Unpack[Options],
    ) -> Plan:
        """What a run with these settings does; it is made as that run's own plan is, and nothing loads.

        ``image`` True stands for any picture of this size in pixels, by default the model's own, and False for
        text-to-image; or it is what `stream` would be given. ``prompt`` None stands for any short text. Raises as
        `stream` does.
        """
        start = starts.imagined(image, self.package, width=width, height=height)
        chosen = self.package.settings(settings)
        package = with_controls(self.package, chosen, self.controls)
        self.adapted.adaptation(package, chosen.adapters)
        return self._planned(_ANY if prompt is None else prompt, package, chosen, start, decode=decode).plan

    @keywords(SETTING_ALIASES)
    def stream(
        self,
        prompt: Prompt,
        image: starts.ImageInput = None,
        *,
        width: int | None = None,
        height: int | None = None,
        instruct: bool = False,
        decode: bool = True,
        **settings: Unpack[Options],
    ) -> Run:
        """A run to iterate over; everything given is checked here, and the work starts with the first step.

        ``image`` is a picture, one with its mask from `partway.masks.edit`, or an earlier `Result` or its latents.
        With ``instruct`` the prompt says what to change in it. A prompt that is too long for the model is cut, with a
        `partway.PartwayWarning`; the plan has what is not read.
        """
        chosen = self.package.settings(settings)
        if not isinstance(prompt, str | Embeds):
            raise InputError(f"the prompt must be text or partway.Embeds, not {prompt!r}")
        start = starts.read(image, self.package, width=width, height=height)
        starts.check_task(self.package, instruct=instruct)
        package = with_controls(self.package, chosen, self.controls)
        planned = self._planned(prompt, package, chosen, start, decode=decode)
        planned.warn()
        ration, adapters = Ration(chosen.deadline), self.adapted.adaptation(package, chosen.adapters)
        work = self._work(planned, ration, adapters)
        return Run(planned.plan, planned.settings, work, ration, size=start.size)

    def _planned(
        self, prompt: Prompt, package: Package, settings: Settings, start: starts.Start, *, decode: bool
    ) -> Planned:
        """All that is decided of a run whose texts may name embeddings."""
        weights = [one.weight for one in joined(prompt, settings)]
        planned = self.planner.planned(package, settings, start, decode=decode, weights=weights)
        sizes = {name: one.size for name, one in inversions(package, settings.inversions).items()}
        return planned.reading(prompt, self.tokenizers, sizes)

    def _work(self, planned: Planned, ration: Ration, adapters: Adaptation) -> Iterator[Step | Result]:
        """The straight line: encode, step from noise level to noise level, decode."""
        named = {}
        if planned.words.names_embeddings(self.tokenizers):
            named = inversions(planned.package, planned.settings.inversions)
            adapters = taking_vectors(planned.package, adapters)
        limited = planned.loading.release or self.planner.options.limit is not None
        engine = self.adapted.over(self.engine, adapters, self._open)
        if not limited and not planned.loading.segments:
            open_ahead(engine, planned.plan)
        clock = Clock(planned.loading.over(engine, planned.package.guide_networks))
        networks = Networks(clock.engine, planned.package, planned.tilings, planned.settings.vae)
        decoding = (networks.decoder, planned.start.size, planned.pictures)
        ration.begin(self.decode_times.expected(*decoding))
        if not planned.plan.levels:
            (pictures, drift), given = unchanged(networks, planned)
            yield Result(pictures, planned.plan, planned.settings, clock.seconds(), given, drift)
            return

        encoders = Encoders(networks, self.tokenizers, self.texts, self.pictures, named, adapters.text_key)
        x, denoise, evaluations, noise, colours = begin(encoders, planned)
        method, chosen = method_of(planned.plan.sampler), planned.settings
        sampler = method.bound(self.package.trained, chosen.eta, steps=chosen.steps)
        state = State(x)
        schedule = planned.part.schedule
        quick = None if limited else networks.quick_decoder
        for state in trajectory(denoise, sampler, schedule, x, noise, evaluations.following(ration, schedule)):
            with clock.paused():  # what the caller does with a step
                yield Step.after(state, colours, networks.decode_image, quick)

        planned = planned.followed(state.behind, evaluations)
        latents = arrived(planned, state, early=ration.short)
        pictures, drift = [], ()
        if planned.plan.calls[networks.decoder]:
            with self.decode_times.measured(*decoding):
                pictures, drift = decoded(networks, planned, latents)
        kept = latents if planned.start.edit is None else None  # with a mask the picture says more
        yield Result(pictures, planned.plan, planned.settings, clock.seconds(), kept, drift)

    def _open(self, networks: Mapping[str, Openable]) -> Engine:
        """An engine like this pipeline's own for other networks."""
        return open_engine(self.planner.engine or "auto", networks, self.planner.options)
