"""What a run does to stay below a limit of memory, and about how long it takes, said before anything loads."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from partway.budget import duration
from partway.budget.footprint import Work, in_turn, loads, peak, seen
from partway.budget.tuned import Measured, nearest
from partway.engines import Engine, EngineOptions
from partway.engines.frugal import Frugal, stage
from partway.engines.streamed import Streamed
from partway.errors import InputError
from partway.graphs import SHALLOW, TOKENIZERS, VAES
from partway.model.package import Package
from partway.model.tiles import fitting, square
from partway.model.views import GUIDED
from partway.run.plans import Plan, plan_of
from partway.run.starts import start
from partway.settings import Settings
from partway.support.amounts import shown

LEAST_TILE = 128  # pixels; in smaller ones a VAE's normalisation sees too little of the picture

_ENCODERS, _DECODERS = zip(*VAES.values(), strict=True)
_ORDER = (*TOKENIZERS, *_ENCODERS, "unet", SHALLOW, *_DECODERS)  # in which a run needs them


class Fit(NamedTuple):
    """How a run uses memory: its predicted peak in bytes, None if that is not known, and what is done for it.

    release: whether networks are released between stages; batch: the largest a network is given, None for any;
    vae_tile: pixels of the VAE's own tiles, None if it has none; segments: of the UNet, where it runs in those;
    measured: what networks took that run in this way
    """

    peak: int | None = None
    release: bool = False
    batch: int | None = None
    vae_tile: int | None = None
    segments: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()

    def over(self, engine: Engine) -> Engine:
        """The engine as this run uses it."""
        engine = Streamed(engine, self.segments) if self.segments else engine
        return Frugal(engine, self.batch) if self.release else engine

    def within(self, settings: Settings) -> Settings:
        """The settings as this run has them, so that its record repeats it on any machine."""
        return replace(settings, vae_tile=self.vae_tile) if self.vae_tile != settings.vae_tile else settings

    def told(self, plan: Plan, package: Package, settings: Settings, size: tuple[int, int]) -> Plan:
        """The plan with what is said of memory and time, and with the calls of a VAE that has tiles of its own."""
        done = ["networks are released between stages" if self.release else "networks stay loaded"]
        done += ["each prediction is a call"] if self.batch == 1 and plan.predictions > 1 and settings.guided else []
        done += [f"the VAE works in tiles of {self.vae_tile}"] if self.vae_tile else []
        done += [f"the UNet runs in {len(self.segments)} segments, one loaded at a time"] if self.segments else []
        plan = replace(plan, peak_bytes=self.peak, memory=", ".join(done))
        tiling = square(self.vae_tile, settings.tile_overlap, package.vae_scale_factor)
        if tiling is not None:
            tiles = tiling.needed(*package.latent_shape(*size)[2:])
            encode, decode = (tiles if plan.calls[name] else None for name in plan.vae)
            plan = plan.with_calls(encode=encode, decode=decode)
        for one in nearest(self.measured, size)[:1]:
            plan = replace(plan, seconds=duration.seconds(plan, package, self.within(settings), size, one))
        return plan


@dataclass(frozen=True)
class Memory:
    """An engine's name and its options, which say how much memory runs may take; what is measured of the model here."""

    engine: str | None = None
    options: EngineOptions = field(default_factory=EngineOptions)
    measured: tuple[Measured, ...] = ()

    def check(self, package: Package) -> None:
        """Raise `InputError` where a stream is asked for of a model that has no segments."""
        if self.options.stream and not package.segments:
            raise InputError("this model is not cut into segments; export it with --segments 8, or leave stream out")

    def fit(self, package: Package, settings: Settings, plan: Plan, size: tuple[int, int]) -> Fit:
        """How a run of this size in pixels fits: keeping all networks loaded, if it does or if there is no limit.

        Else the first that does of: networks released between stages; and one row a call; and the VAE in tiles, ever
        smaller; and the UNet in segments, where it is cut into them. Only the tiles change the picture by more than
        rounding. What the user set stays as it is. Memory of GPUs is not known. Raises `InputError` naming the least
        peak and what would lower it, if nothing fits, and as `check`.
        """
        self.check(package)
        way = self._way(package, settings, plan, size)
        return way._replace(measured=self._like(way))

    def _like(self, way: Fit) -> tuple[Measured, ...]:
        """What is measured of networks that run as they do in this way; of those that load anew in a run, nothing."""
        if self.engine is None or way.release or way.segments:
            return ()
        options = replace(self.options, batch=way.batch)
        return tuple(one for one in self.measured if one.suits(self.engine, options))

    def _way(self, package: Package, settings: Settings, plan: Plan, size: tuple[int, int]) -> Fit:
        segments = package.segments if self.options.stream else ()
        own = Fit(None, self.options.release, self.options.batch, settings.vae_tile, segments)
        if self.engine is None or self.options.device.upper() != "CPU":
            return own
        limit = self.options.limit
        ways = [own] if limit is None else [own, *self._ways(package, settings, size, own._replace(release=True))]
        peaks = []
        for way in ways:
            peaks.append(self._peak(package, settings, plan, size, way))
            if limit is None or peaks[-1] <= limit:
                return way._replace(peak=peaks[-1])
        assert limit is not None
        helps = ["a smaller picture"]
        if settings.tile is None and _tile(package) < max(size):
            helps.append(f"tile={_tile(package)}")
        if package.manifest.get("weights") != "int8":
            helps.append("a package with int8 weights")
        if not package.segments:
            helps.append("one exported with --segments")
        raise InputError(
            f"this run needs about {shown(min(peaks))} of memory at the least, which is more than memory_limit "
            f"{shown(limit)}; what would help: {', '.join(helps)}"
        )

    def plan(self, package: Package, settings: Settings, *, image: bool, width: int | None, height: int | None) -> Plan:
        """The plan of a run on pictures of this size, by default the model's own; raises as `fit` does."""
        size = start(None, width, height, package).size
        settings = tiled(package, settings, size)
        plan = plan_of(package, settings, image=image)[0]
        tiling = square(settings.tile, settings.tile_overlap, package.vae_scale_factor)
        if tiling is not None:
            plan = plan.in_tiles(tiling.needed(*package.latent_shape(*size)[2:]))
        return self.fit(package, settings, plan, size).told(plan, package, settings, size)

    def _ways(self, package: Package, settings: Settings, size: tuple[int, int], way: Fit) -> list[Fit]:
        """Ways to run that need less and less."""
        ways = [way]
        if way.batch is None:
            ways.append(way._replace(batch=1))
        if settings.tile is None and settings.vae_tile is None:
            tile = _tile(package)
            while tile >= LEAST_TILE:
                if tile < max(size):
                    ways.append(ways[-1]._replace(vae_tile=tile))
                tile = tile // 2 // package.multiple * package.multiple
        if package.segments and not way.segments:
            ways.append(ways[-1]._replace(segments=package.segments))
        return ways

    def _peak(self, package: Package, settings: Settings, plan: Plan, size: tuple[int, int], way: Fit) -> int:
        views = 1 if settings.reuse else len(GUIDED[package.guidance].seen(settings))  # as `Reuse.parts` has it
        rows = views * len(settings.seeds)
        work = Work(
            unet=seen(package, size, settings.tile),
            vae=seen(package, size, way.vae_tile or settings.tile),
            rows=min(rows, way.batch or rows),
            released=way.release,
        )
        assert self.engine is not None
        each = loads(package, self.engine, work, self.options)
        if way.segments:
            each["unet"] = in_turn([each[name] for name in way.segments])
        stages: dict[tuple[str, ...], list[str]] = {}
        for name in _ORDER:
            if plan.calls.get(name):
                stages.setdefault(stage(name), []).append(name)
        pictures = size[0] * size[1] * len(settings.seeds)
        loaded = [[each[name] for name in names] for names in stages.values()]
        return peak(self.engine, loaded, pictures, released=way.release)


def tiled(package: Package, settings: Settings, size: tuple[int, int]) -> Settings:
    """The settings with the tile of a picture of this size, where they leave it to be chosen (0)."""
    if settings.tile != 0:
        return settings
    own, cell = _tile(package), package.vae_scale_factor
    height, width = (side * cell for side in package.latent_shape(*size)[2:])
    overlap = own // 8 if settings.tile_overlap is None else min(settings.tile_overlap, own // 2)
    return replace(settings, tile=fitting(height, width, own, overlap, package.multiple), tile_overlap=overlap)


def _tile(package: Package) -> int:
    """A tile of the size that the model was made for, in pixels."""
    return max(1, min(package.size) // package.multiple) * package.multiple
