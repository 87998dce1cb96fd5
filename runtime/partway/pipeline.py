"""From picture and prompt to picture: the whole path in one straight line, `Pipeline.stream` and `Run`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Unpack

from partway.budget.memory import Memory, tiled
from partway.diffusion.brownian import paths
from partway.diffusion.dials import Part
from partway.diffusion.names import SETTING_ALIASES
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.sampling import trajectory
from partway.engines import Engine
from partway.engines.timed import Timed
from partway.errors import InputError
from partway.model.encoders import Encoders, Posteriors, Texts
from partway.model.networks import Networks
from partway.model.package import Package
from partway.model.tokens import Tokenizer
from partway.pictures import images, masks, outpaint
from partway.run import starts
from partway.run.beginnings import begin
from partway.run.deadline import Ration
from partway.run.latents import Latents
from partway.run.latents import check as check_hand_over
from partway.run.plans import Plan, plan_of
from partway.run.results import Result, Run, Step
from partway.run.starts import Start
from partway.settings import Options, Settings
from partway.support.caching import Recent
from partway.support.keywords import keywords


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A loaded model. Runs share its engine and a small memory of encoded prompts and pictures, from any thread."""

    package: Package
    engine: Engine
    tokenizers: tuple[Tokenizer, ...]  # one for each of the package's text encoders
    memory: Memory = field(default_factory=Memory)
    texts: Texts = field(default_factory=lambda: Recent(32))
    decoding: dict[tuple[str, int, int], float] = field(default_factory=dict)  # seconds it took, by network and size
    pictures: Posteriors = field(default_factory=lambda: Recent(4))

    @keywords(SETTING_ALIASES)
    def img2img(
        self, image: images.Source | Result | Latents, prompt: str, *, decode: bool = True, **settings: Unpack[Options]
    ) -> Result:
        """Restyle a picture (a path, a PIL picture or an array); the result has its size.

        Given an earlier result, or its `Latents`, it goes on from those, which lose nothing on the way through pixels;
        those of a run that ended at its ``denoising_end`` need that as ``denoising_start``, as for SDXL's refiner.
        With ``decode`` False it makes no picture, only what the next call needs.
        Raises a `partway.PartwayError` that says what was wrong and what to do.
        """
        return self.stream(prompt, image, decode=decode, **settings).result()

    @keywords(SETTING_ALIASES)
    def inpaint(
        self,
        image: images.Source,
        mask: images.Source,
        prompt: str,
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
        whole = images.read(image)
        part = padding if only_masked else None
        edit = masks.edit(whole, mask, blur=mask_blur, padding=part, size=self.package.size)
        return self.stream(prompt, edit, **settings).result()

    @keywords(SETTING_ALIASES)
    def outpaint(
        self,
        image: images.Source,
        prompt: str,
        *,
        left: int = 0,
        top: int = 0,
        right: int = 0,
        bottom: int = 0,
        feather: int = outpaint.FEATHER,
        **settings: Unpack[Options],
    ) -> Result:
        """A picture continued by so many pixels on each side; it changes only ``feather`` pixels deep at the seam."""
        margins = outpaint.Margins(left, top, right, bottom)
        return self.stream(prompt, outpaint.edit(images.read(image), margins, feather), **settings).result()

    @keywords(SETTING_ALIASES)
    def instruct(self, image: images.Source, instruction: str, **settings: Unpack[Options]) -> Result:
        """A picture changed as told, like "make it snowy", by a model that follows instructions (InstructPix2Pix).

        ``guidance_scale`` is how far it goes, ``image_guidance_scale`` how much it keeps; strength has no part in it.
        """
        return self.stream(instruction, image, instruct=True, **settings).result()

    @keywords(SETTING_ALIASES)
    def upscale(
        self, image: images.Source, prompt: str = "", *, scale: float = 2.0, **settings: Unpack[Options]
    ) -> Result:
        """A picture ``scale`` times as large, refined in tiles (``tile=0``); strength is 0.3 by default."""
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
        prompt: str,
        *,
        width: int | None = None,
        height: int | None = None,
        decode: bool = True,
        **settings: Unpack[Options],
    ) -> Result:
        """A picture from a prompt alone, of any size, by default the model's own; strength has no part in it."""
        return self.stream(prompt, width=width, height=height, decode=decode, **settings).result()

    @keywords(SETTING_ALIASES)
    def plan(
        self, *, image: bool = True, width: int | None = None, height: int | None = None, **settings: Unpack[Options]
    ) -> Plan:
        """What a run with these settings would do; ``image`` False for text-to-image.

        The predicted memory is for pictures of so many pixels, by default of the model's own size.
        """
        return self.memory.plan(self.package, self.package.settings(settings), image=image, width=width, height=height)

    @keywords(SETTING_ALIASES)
    def stream(
        self,
        prompt: str,
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
        With ``instruct`` the prompt says what to change in it.
        """
        chosen = self.package.settings(settings)
        if not isinstance(prompt, str):
            raise InputError(f"the prompt must be text, not {prompt!r}")
        start = starts.start(image, width, height, self.package)
        chosen = tiled(self.package, chosen, start.size)
        start.check(self.package, chosen, instruct=instruct, decode=decode)
        kept = start.edit is not None and not self.package.inpaints
        plan, part = plan_of(self.package, chosen, image=start.has_image, mask=kept)
        check_hand_over(start.latents, chosen, plan)
        plan = start.of(plan, decode=decode)
        fit = self.memory.fit(self.package, chosen, plan, start.size)
        chosen, engine = fit.within(chosen), fit.over(self.engine)
        if plan.levels:  # only then the network is loaded, to see what it takes
            tiling = Networks(engine, self.package, chosen.tile, chosen.tile_overlap).tiling("unet")
            if tiling is not None:
                plan = plan.in_tiles(tiling.needed(*self.package.latent_shape(*start.size)[2:]))
        plan = fit.told(plan, self.package, chosen, start.size)
        ration = Ration(chosen.deadline)
        return Run(plan, chosen, self._work(engine, prompt, start, chosen, plan, part, decode, ration), ration)

    def _work(
        self,
        engine: Engine,
        prompt: str,
        start: Start,
        settings: Settings,
        plan: Plan,
        part: Part,
        decode: bool,
        ration: Ration,
    ) -> Iterator[Step | Result]:
        """The straight line."""
        begun = perf_counter()
        timed = Timed(engine)
        tiles = (settings.tile, settings.tile_overlap, settings.vae_tile)
        networks = Networks(timed, self.package, *tiles, settings.vae)
        ration.begin(self.decoding.get((networks.decoder, *start.size)))
        if start.has_image and not plan.levels:
            latents = start.latents and start.latents.repeated(len(settings.seeds))
            if decode and latents is not None and not start.untouched:
                pictures, drift = start.finish(networks.decode_image(latents.values), settings.colour_match)
            else:
                pictures, drift = start.copies(len(settings.seeds)), ()
            yield Result(pictures, plan, settings, _seconds(timed, begun), latents, drift)
            return

        encoders = Encoders(networks, self.tokenizers, self.texts, self.pictures)
        x, denoise, normal, colours = begin(encoders, prompt, start, settings, part, reads_image=plan.reads_image)
        method = SAMPLERS[plan.sampler]
        top = float(max(self.package.trained.sigmas[-1], part.schedule.sigmas[0]))
        fresh = paths(settings.seeds, x[:1].shape, top) if method.path else lambda *_: normal()
        step = method.bound(self.package.trained, settings.eta)
        for state in trajectory(denoise, step, part.schedule, x, fresh, ration):
            yielded, done = perf_counter(), len(state.behind)
            estimate = state.past[-1].denoised
            yield Step(done, done + len(state.ahead), state.behind[-1], estimate, colours, networks.decode_image)
            begun += perf_counter() - yielded  # what the caller does with a step is not the run's time
        batch = len(settings.seeds)
        predicted = {graph: [count // batch for count in rows] for graph, rows in networks.predicted.items()}
        plan = plan.followed(state.behind, predicted)

        if settings.denoising_end is not None:
            handed = Latents(state.x, self.package.latent_scale, start.size, start.picture, plan.levels[-1].sigma)
            yield Result([], plan, settings, _seconds(timed, begun), handed)
            return
        if ration.short:
            made = state.past[-1].denoised
        else:
            made = state.x * PREDICTIONS[self.package.prediction].scale(plan.levels[-1].sigma)
        if decode:
            pictures, drift = start.finish(networks.decode_image(made), settings.colour_match, seen=plan.reads_image)
            self.decoding[networks.decoder, *start.size] = timed.seconds[networks.decoder]
        else:
            pictures, drift = [], ()
        keeps = start.edit is None  # with a mask the picture says more
        latents = Latents(made, self.package.latent_scale, start.size, start.picture) if keeps else None
        yield Result(pictures, plan, settings, _seconds(timed, begun), latents, drift)


def _seconds(timed: Timed, begun: float) -> dict[str, float]:
    total = perf_counter() - begun
    return {**timed.seconds, "other": total - sum(timed.seconds.values()), "total": total}
