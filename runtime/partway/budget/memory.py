"""What a run does to stay below a limit of memory, decided before anything loads."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from partway.budget.footprint import Work, in_turn, known, loads, peak
from partway.engines import EngineOptions
from partway.engines.frugal import stage
from partway.errors import InputError
from partway.graphs import CONTROLS, IMAGE_ADAPTER, IMAGE_ENCODER, SHALLOW, TOKENIZERS, VAES
from partway.model.package import Package
from partway.model.tiles import Tilings, own_tile
from partway.run.planned import Loading
from partway.settings import Settings
from partway.support.amounts import shown

LEAST_TILE = 128  # pixels; in smaller ones a VAE's normalisation sees too little of the picture

_ENCODERS, _DECODERS = (dict.fromkeys(names) for names in zip(*VAES.values(), strict=True))
_ORDER = (
    *TOKENIZERS,
    *_ENCODERS,
    IMAGE_ENCODER,
    IMAGE_ADAPTER,
    *CONTROLS,
    "unet",
    SHALLOW,
    *_DECODERS,
)  # in which a run needs them


class Demand(NamedTuple):
    """What the memory of a run depends on, beside the engine.

    ``size`` in pixels, the networks that it calls, and how many predictions it makes at once for a picture.
    """

    package: Package
    settings: Settings
    size: tuple[int, int]
    networks: frozenset[str]
    predictions: int


class Fit(NamedTuple):
    """What a run does about memory: how it loads networks, pixels of the VAE's own tiles (None for none).

    peak: the predicted peak in bytes; None where it is not known
    """

    loading: Loading
    vae_tile: int | None
    peak: int | None = None

    def words(self, settings: Settings, predictions: int) -> str:
        """This as text for the plan of a run whose guided evaluations make so many ``predictions``."""
        release, batch, segments = self.loading
        said = ["networks are released between stages" if release else "networks stay loaded"]
        said += ["each prediction is a call"] if batch == 1 and predictions > 1 and settings.guided else []
        said += [f"the VAE works in tiles of {self.vae_tile}"] if self.vae_tile else []
        said += [f"the UNet runs in {len(segments)} segments, one loaded at a time"] if segments else []
        return ", ".join(said)


def check(package: Package, engine: str | None, options: EngineOptions) -> None:
    """Raise `InputError` for segments that the model does not have, and for a limit where the peak cannot be known."""
    if options.stream and not package.segments:
        raise InputError("this model is not cut into segments; export it with --segments 8, or leave stream out")
    if options.limit is not None and engine is not None and not known(engine):
        raise InputError(f"how much memory {engine} takes is not known; leave memory_limit out")


def fit(demand: Demand, engine: str | None, options: EngineOptions) -> Fit:
    """What the user asked for where that fits or nothing limits memory; else the first of `_savings` that fits.

    Memory is predicted for CPUs, on an engine by its name. Raises `InputError` as `check` does, and if nothing fits:
    it names the least peak and what would lower it.
    """
    check(demand.package, engine, options)
    segments = demand.package.segments if options.stream else ()
    asked = Fit(Loading(options.release, options.batch, segments), demand.settings.vae_tile)
    if engine is None or not known(engine) or options.device.upper() != "CPU":
        return asked
    limit, peaks = options.limit, []
    for found in (asked, *(() if limit is None else _savings(demand, asked))):
        peaks.append(_peak(demand, found, engine, options))
        if limit is None or peaks[-1] <= limit:
            return found._replace(peak=peaks[-1])
    raise InputError(
        f"this run needs about {shown(min(peaks))} of memory at the least, which is more than memory_limit "
        f"{shown(limit or 0)}; what would help: {', '.join(_remedies(demand))}"
    )


def _savings(demand: Demand, asked: Fit) -> Iterator[Fit]:
    """What can be done, each with all before it, so that each saves more memory and costs more time.

    1. Networks are released between the stages of the run.
    2. Each prediction is a call of its own, where the user sets no ``batch``.
    3. The VAE works in tiles, from the model's own size down to `LEAST_TILE`, where the user sets no tiles and its
       decoder takes any size. They alone change the picture by more than rounding.
    4. The UNet runs in segments, where the export cut it into some.

    A new rule goes where it belongs in that order. How networks load is a field of `Loading`, whose `over` does it;
    what is a setting, `partway.budget.planner` puts into the run's settings. `partway.budget.footprint` says what it
    saves.
    """
    package, settings = demand.package, demand.settings
    found = asked._replace(loading=asked.loading._replace(release=True))
    yield found
    if asked.loading.batch is None:
        found = found._replace(loading=found.loading._replace(batch=1))
        yield found
    if settings.tile is None and settings.vae_tile is None and not Tilings.of(package, settings).decoder.exact:
        tile = own_tile(package)
        while tile >= LEAST_TILE:
            if tile < max(demand.size):
                found = found._replace(vae_tile=tile)
                yield found
            tile = tile // 2 // package.multiple * package.multiple
    if package.segments and not asked.loading.segments:
        yield found._replace(loading=found.loading._replace(segments=package.segments))


def _remedies(demand: Demand) -> list[str]:
    """What the user can do where nothing fits."""
    package, tile = demand.package, own_tile(demand.package)
    helps = ["a smaller picture"]
    any_size = demand.settings.tile is None and not Tilings.of(package, demand.settings).unet.exact
    if any_size and tile < max(demand.size):
        helps.append(f"tile={tile}")
    if package.manifest.get("weights") != "int8":
        helps.append("a package with int8 weights")
    if not package.segments:
        helps.append("one exported with --segments")
    return helps


def _peak(demand: Demand, found: Fit, engine: str, options: EngineOptions) -> int:
    """Bytes at the predicted peak."""
    package, settings, size = demand.package, demand.settings, demand.size
    latents = package.latent_shape(*size)[2:]
    tilings = Tilings.of(package, replace(settings, vae_tile=found.vae_tile))
    # With reuse, each prediction is a call (`partway.diffusion.reuse.Reuse.parts`).
    predictions = 1 if settings.reuse else demand.predictions
    batch = predictions * len(settings.seeds)
    work = Work(
        unet=tilings.unet.input_size(*latents),
        vae=tilings.decoder.input_size(*latents),
        batch=min(batch, found.loading.batch or batch),
        released=found.loading.release,
    )
    each = loads(package, engine, work, options)
    if found.loading.segments:
        each["unet"] = in_turn([each[name] for name in found.loading.segments])
    stages: dict[tuple[str, ...], list[str]] = {}
    for name in _ORDER:
        if name in demand.networks:
            stages.setdefault(stage(name), []).append(name)
    pixels = size[0] * size[1] * len(settings.seeds)
    loaded = [[each[name] for name in names] for names in stages.values()]
    return peak(engine, loaded, pixels, released=found.loading.release)
