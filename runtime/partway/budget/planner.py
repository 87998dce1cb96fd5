"""Decides a run: `Pipeline.plan` returns its plan, and `Pipeline.stream` runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from partway.budget import duration, memory
from partway.budget.tuned import Measured, nearest
from partway.engines import EngineOptions
from partway.model import tiles
from partway.model.conditions import guidance_mode
from partway.model.package import Package
from partway.model.words import Words
from partway.run import latents
from partway.run.hints import hints_of
from partway.run.outline import Kind, check, check_calls, outline
from partway.run.planned import Planned
from partway.run.starts import Start
from partway.settings import Settings


@dataclass(frozen=True)
class Planner:
    """Plans runs on one engine.

    It reads a model's description and files' sizes, and of the UNet's and the VAE's graphs whether they take pictures
    of one size only (`partway.model.fixed`): milliseconds, of files of any size. Nothing is loaded.

    engine    its name, None where it is not known: then no peak of memory is predicted
    options   how it runs networks, and how much memory it may take
    measured  what ``partway tune`` measured of the model here
    """

    engine: str | None = None
    options: EngineOptions = field(default_factory=EngineOptions)
    measured: tuple[Measured, ...] = ()

    def planned(
        self,
        package: Package,
        settings: Settings,
        start: Start,
        *,
        decode: bool = True,
        weights: Sequence[float] = (1.0,),
    ) -> Planned:
        """A run with these settings; with ``decode`` False it makes no picture, only latents.

        ``weights`` are those of the prompts that are joined.

        Raises `InputError` for what the model cannot do, and where nothing keeps memory below its limit.
        """
        if not start.imagined:
            start.check(package, settings, decode=decode)
        check(package, settings)
        settings = tiles.chosen(package, settings, start.size)
        how = guidance_mode(package.guidance, weights)
        plan, part = outline(Kind.of(package), settings, start, how, decode=decode)
        check_calls(package, plan)
        if not start.imagined:
            latents.check(start.latents, settings, plan)
        called = frozenset(name for name, count in plan.calls.items() if count)
        fit = memory.fit(
            memory.Demand(package, settings, start.size, called, len(how.needed(settings))), self.engine, self.options
        )
        settings = replace(settings, vae_tile=fit.vae_tile)
        tilings = tiles.Tilings.of(package, settings)
        hints = () if start.imagined else hints_of(package, start)
        plan = plan.in_tiles(*(tiling.needed(*package.latent_shape(*start.size)[2:]) for tiling in tilings))
        said = fit.words(settings, plan.predictions)
        plan = replace(plan, peak_bytes=fit.peak, memory=said, padded=_padded(package, start.size))
        planned = Planned(
            package, start, settings, plan, part, tilings, fit.loading, how, Words(settings, 0, (), ()), hints
        )
        return replace(planned, plan=replace(plan, seconds=self._seconds(planned)))

    def _seconds(self, planned: Planned) -> float | None:
        """What was measured of networks that run as these do; nothing is known of networks that load during the run."""
        if self.engine is None or planned.loading.release or planned.loading.segments:
            return None
        options = replace(self.options, batch=planned.loading.batch)
        suited = [one for one in self.measured if one.suits(self.engine, options)]
        return next((duration.seconds(planned, one) for one in nearest(suited, planned.start.size)), None)


def _padded(package: Package, size: tuple[int, int]) -> tuple[int, int] | None:
    """The size that networks see where it is not the picture's."""
    height, width = (side * package.vae_scale_factor for side in package.latent_shape(*size)[2:])
    return None if (width, height) == size else (width, height)
