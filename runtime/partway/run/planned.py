"""A run as it is decided before anything loads: what `partway.budget.planner` makes and `partway.pipeline` runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from partway.diffusion.dials import Part
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Array
from partway.engines import Engine
from partway.engines.frugal import Frugal
from partway.engines.streamed import Streamed
from partway.model.conditions import GUIDED
from partway.model.package import Package
from partway.model.tiles import Tilings
from partway.model.tokens import Tokenizer
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

    settings  with the tiles that were chosen, so that its record repeats it on any machine
    part      the part of the schedule that runs, and the shares of picture and noise in the start latents
    tilings   how pictures are cut for the UNet and the VAE
    hints     what the model's guides are shown, (1, 3, H, W) each, at the size of the start, and its image prompt last
    """

    package: Package
    start: Start
    settings: Settings
    plan: Plan
    part: Part
    tilings: Tilings
    loading: Loading
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
        return replace(self, plan=self.plan.followed(levels, evaluations.made, evaluations.looks, tiles=tiles))

    def warn(self) -> None:
        """Warn of what is not read."""
        for name, text in self.plan.unread.items():
            warn(f"the {name.replace('_', ' ')} is too long for this model, which does not read {shortened(text)}")

    def reading(self, prompt: str, tokenizers: Sequence[Tokenizer]) -> "Planned":
        """The same with a plan that has what is not read of its texts, which are cut where the model takes no more."""
        kinds = GUIDED[self.package.guidance].prompts(self.settings) if self.plan.levels else set()
        texts = {"prompt": prompt} if True in kinds else {}
        if False in kinds and not self.package.unprompted(self.settings):
            texts["negative_prompt"] = self.settings.negative_prompt
        ends = {name: tokenizers[0].truncated(text) for name, text in texts.items()}  # all split text alike
        return replace(self, plan=replace(self.plan, unread={name: end for name, end in ends.items() if end}))
