"""Opening a model, and what is known of a run before one is opened: `load`, `plan` and `match`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from partway.budget import memory, presets, tuned
from partway.budget.planner import Planner
from partway.checkpoints.forms import is_file
from partway.diffusion.dials import matching
from partway.diffusion.levels import trained
from partway.diffusion.names import SETTING_ALIASES
from partway.diffusion.written import spacing_of
from partway.engines import EngineOptions, engine_named, open_engine
from partway.loras import Lora, chosen
from partway.model.adapted import adaptation
from partway.model.conditions import guidance_mode
from partway.model.control_units import with_controls
from partway.model.opening import open_model
from partway.model.vocabulary import tokenizers
from partway.pipeline import Pipeline
from partway.run import starts
from partway.run.outline import Kind, outline, part_of
from partway.run.plans import Plan
from partway.settings import Options, Settings
from partway.support.caching import Recent
from partway.support.keywords import keywords


@keywords(SETTING_ALIASES)
def load(
    model: str | Path | None = None,
    *,
    preset: str | None = None,
    engine: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    cache_dir: str | Path | None = None,
    cache_limit: int | str | None = None,
    static: bool | None = None,
    batch: int | None = None,
    stream: bool | None = None,
    release: bool | None = None,
    memory_limit: int | str | None = None,
    revision: str | None = None,
    vae: str | Path | None = None,
    prediction: str | None = None,
    loras: Mapping[str, float | Mapping[str, Any]] | Sequence[Lora] = (),
) -> Pipeline:
    """Open a model: a folder or a .safetensors file, a Hub id (``revision`` pins a version), or a catalogue name.

    Without one it is "rooms", the small model of living rooms that comes with partway.
    ``preset`` is a name in `PRESETS`, for what is not given here or for a run. ``engine`` is "auto" (the default),
    "onnxruntime" or "openvino"; the other options are `EngineOptions`. Of a model that is not exported, ``vae`` is a
    file whose VAE takes the place of its own, and ``prediction`` ("epsilon" or "v_prediction") says what a file
    predicts that does not say so. ``loras`` are adapters for all runs that name none of their own (`Settings`).
    Networks load on first use. Raises
    `PackageError`, `EngineError` or `InputError`, each saying what to do.
    """
    given = {
        "engine": engine, "device": device, "threads": threads, "precision": precision, "cache_dir": cache_dir,
        "cache_limit": cache_limit, "static": static, "batch": batch, "stream": stream, "release": release,
        "memory_limit": memory_limit,
    }  # fmt: skip
    presets.options(preset, given)  # refused before anything is fetched
    package = presets.under(preset, open_model(model, revision=revision, vae=vae, prediction=prediction))
    if loras := chosen(loras):
        adaptation(package, loras)  # refused before a network loads
        package = replace(package, defaults={**package.defaults, "loras": loras})
    known = tuned.measured(package)
    engine, options = presets.options(preset, given, tuned.nearest(known, package.size))
    planner = Planner(engine_named(engine, package.networks, options.device), options, known)
    memory.check(package, planner.engine, options)
    return Pipeline(package, open_engine(engine, package.networks, options), tokenizers(package), planner)


@keywords(SETTING_ALIASES)
def plan(
    model: str | Path | None = None,
    *,
    image: bool | starts.ImageInput = True,
    width: int | None = None,
    height: int | None = None,
    preset: str | None = None,
    engine: str | None = None,
    options: EngineOptions | Mapping[str, Any] | None = None,
    prediction: str | None = None,
    **settings: Unpack[Options],
) -> Plan:
    """What a run does on a model, which is only read, or on Stable Diffusion 1.5's noise levels without one.

    ``image`` is as for `Pipeline.plan`, whose answer this is without loading. With a model it says how much memory the
    run takes, for a picture of this size, by default the model's own, on this engine with these options (or else the
    preset's), which can be given by name; and about how many seconds, where ``partway tune`` has measured that.
    ``prediction`` is as for `load`, and so is ``vae`` where it names a file. Raises as `load` does.
    """
    told = _told(prediction, settings)
    if model is None:
        start = starts.Start((512, 512), imagined=image is not False and image is not None)
        return outline(Kind(trained()), Settings(**settings), start, guidance_mode("pair"))[0]
    own = presets.under(preset, open_model(model, **told))
    known = tuned.measured(own)
    given = {"engine": engine, **(options if isinstance(options, Mapping) else {})}
    engine, chosen = presets.options(preset, given, tuned.nearest(known, own.size))
    options = options if isinstance(options, EngineOptions) else chosen
    planner = Planner(engine_named(engine, own.networks, options.device), options, known)
    start, settled = starts.imagined(image, own, width=width, height=height), own.settings(settings)
    return planner.planned(with_controls(own, settled, Recent(1)), settled, start).plan


@keywords(SETTING_ALIASES)
def match(
    dial: str,
    strength: float,
    /,
    model: str | Path | None = None,
    *,
    prediction: str | None = None,
    **settings: Unpack[Options],
) -> float:
    """The strength, on partway's own dial, that starts at the noise level where another dial's ``strength`` does.

    Model and settings as in `plan`; raises as `load` does.
    """
    told = _told(prediction, settings)
    own = None if model is None else open_model(model, **told)
    wanted: Options = {**settings, "dial": dial, "strength": strength}
    chosen = own.settings(wanted) if own else Settings(**wanted)
    kind = Kind.of(own) if own else Kind(trained())
    part = part_of(kind, chosen)
    there = float(part.schedule.sigmas[0]) if part.schedule.steps else 0.0
    return matching(there, chosen.steps, spacing_of(kind.schedule_of(chosen)), kind.trained)


def _told(prediction: str | None, settings: Options) -> dict[str, str]:
    """What `open_package` is told of a model; a file that ``vae`` names is taken out of the settings."""
    told = {} if prediction is None else {"prediction": prediction}
    if is_file(Path(settings.get("vae", ""))):
        told["vae"] = settings.pop("vae")
    return told
