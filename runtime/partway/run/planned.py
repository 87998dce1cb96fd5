"""A run as it is decided before anything loads: what `partway.budget.planner` makes and `partway.pipeline` runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from partway.diffusion.dials import Part
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Array
from partway.engines import Engine
from partway.engines.frugal import Frugal
from partway.engines.streamed import Streamed
from partway.errors import InputError
from partway.model.conditions import GuidanceMode
from partway.model.package import Package
from partway.model.ports import inputs
from partway.model.tiles import Tilings
from partway.model.tokens import Tokenizer
from partway.model.words import Embeds, Prompt, Words, at_each, checked, joined
from partway.run.evaluations import Evaluations
from partway.run.plans import Plan
from partway.run.starts import Start
from partway.settings import Settings
from partway.support.lines import shortened
from partway.support.warning import warn


class Loading(NamedTuple):
    """How a run loads networks.

    release   whether they are released between the stages of the run
    batch     the largest batch of a call where networks are released; None leaves it to the engine
    segments  names of the UNet's segments, each loaded and released at every call; none where it runs whole
    """

    release: bool = False
    batch: int | None = None
    segments: tuple[str, ...] = ()

    def over(self, engine: Engine, guides: Sequence[str] = ()) -> Engine:
        """The engine as this run uses it, with networks that guide it by pictures."""
        engine = Streamed(engine, self.segments) if self.segments else engine
        return Frugal(engine, self.batch, guides) if self.release else engine


@dataclass(frozen=True, eq=False)
class Planned:
    """Everything that is decided of a run.

    settings       with the tiles that were chosen, so that its record repeats it on any machine
    part           the part of the schedule that runs, and the shares of picture and noise in the start latents
    tilings        how pictures are cut for the UNet and the VAE
    guidance_mode  which predictions its evaluations make
    words          what it reads of its prompts; `reading` says
    hints          what the control units are shown, (1, 3, H, W) each, at the start's size, and the image prompt last
    """

    package: Package
    start: Start
    settings: Settings
    plan: Plan
    part: Part
    tilings: Tilings
    loading: Loading
    guidance_mode: GuidanceMode
    words: Words
    hints: tuple[Array, ...] = ()

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Shape (1, C, h, w) of one picture's latents."""
        return self.package.latent_shape(*self.start.size)

    @property
    def pictures(self) -> int:
        """How many it makes."""
        return len(self.settings.seeds)

    def followed(self, levels: tuple[NoiseLevel, ...], evaluations: Evaluations) -> "Planned":
        """The same with the plan as it went, as `Plan.followed`."""
        tiles = self.tilings.unet.needed(*self.latent_shape[2:])
        return replace(self, plan=self.plan.followed(levels, evaluations.made, evaluations.control_calls, tiles=tiles))

    def warn(self) -> None:
        """Warn of what is not read."""
        for name, text in self.plan.unread.items():
            warn(f"the {name.replace('_', ' ')} is too long for this model, which does not read {shortened(text)}")
        for name in self.words.left_out():
            warn(f"{shortened(name)} is left out of the prompt: there is no such thing here")

    def reading(self, prompt: Prompt, tokenizers: Sequence[Tokenizer], vectors: Mapping[str, int]) -> "Planned":
        """The same with its prompts tokenised: ``plan.unread`` has the ends that are cut, ``plan.calls`` the encoders'.

        ``vectors`` is how many each embedding has that a text may name. Raises `InputError` for texts that are longer
        than the UNet takes, and for embeddings of a prompt that do not fit it.
        """
        words = self._words(prompt, vectors)
        chosen = self.settings
        texts: dict[str, Prompt | None] = {"prompt": prompt, "prompt_2": chosen.prompt_2} if words.prompts else {}
        if words.negative:
            texts |= {"negative_prompt": chosen.negative_prompt, "negative_prompt_2": chosen.negative_prompt_2}
        read = {side for text in words.texts for side in text if side is not None}
        ends = {
            name: words.cut(text, tokenizers[0])
            for name, text in texts.items()
            if isinstance(text, str) and text in read
        }
        plan = replace(self.plan, unread={name: end for name, end in ends.items() if end})
        if self.plan.levels:
            chunks = words.chunks(tokenizers, pooled=bool(self.package.size_conditions))
            plan = replace(
                plan, calls={**plan.calls, **dict(zip(self.package.text_encoders, map(len, chunks), strict=True))}
            )
            self._check_length(words.longest(tokenizers))
            words.check_given(tokenizers[0].length)
        return replace(self, plan=plan, words=words)

    def _check_length(self, tokens: int) -> None:
        unet = self.package.networks["unet"]
        shape = inputs(unet).get("encoder_hidden_states") if isinstance(unet, Path) else None
        most = shape[1] if shape is not None and len(shape) == 3 else None
        if most is not None and tokens != most:
            raise InputError(
                f"this model's UNet takes {most} tokens and no more, and here are {tokens}; shorten the texts"
            )

    def _words(self, prompt: Prompt, vectors: Mapping[str, int]) -> Words:
        settings, steps = self.settings, self.part.schedule.steps
        if not self.plan.levels:
            return Words(settings, 0, (), ())
        given = checked(prompt, *self.package.embeds_widths) if isinstance(prompt, Embeds) else None
        prompts = () if isinstance(prompt, Embeds) else joined(prompt, settings)
        negative = any(not condition.prompt for condition in self.guidance_mode.needed(settings))
        told = given is not None and given.negative_prompt_embeds is not None
        reads = negative and not told and not self.package.unprompted(settings)
        return Words(
            settings,
            steps,
            tuple(at_each(one.text, settings.prompt_2, settings, steps) for one in prompts),
            at_each(settings.negative_prompt, settings.negative_prompt_2, settings, steps) if reads else (),
            given,
            vectors,
        )
