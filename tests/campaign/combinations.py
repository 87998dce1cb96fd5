"""Random runs on the toy model: any settings, any start. Each is made from the seed of the campaign and its number."""

import random
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import partway
import toy
from campaign import numpy_engine
from campaign.reports import Report
from counting import calls
from partway import DIALS, SAMPLERS, SCHEDULES, InputError, PartwayError
from partway.diffusion.samplers.named import method_of
from partway.errors import PartwayWarning
from partway.pictures import masks, outpaint
from partway.pictures.images import read

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"shallow": True, "tiny": True},
    "v": {"prediction": "v_prediction", "timestep": "int64"},
    "sample": {"prediction": "sample"},
    "one": {"batch": 1},
    "guided": {"guidance_width": 16},
    "inpaint": {"inpaint": True},
    "instruct": {"instruct": True},
    "fixed": {"size": (8, 8)},
}
MODES = ("RGB", "RGB", "RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "F")


class Run(NamedTuple):
    """One run: the model's name, what it starts from, and settings."""

    model: str
    start: str
    image: Any
    size: dict[str, int]
    settings: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.model}, {self.start} {self.size or getattr(self.image, 'size', '')}, {self.settings}"


def pipelines(folder) -> dict[str, partway.Pipeline]:
    """A pipeline on the NumPy engine for each model."""
    found = {}
    for name, options in MODELS.items():
        pipe = partway.load(toy.build(folder / name, **options))
        engine = numpy_engine.Numpy(pipe.package.networks, partway.EngineOptions())
        found[name] = partway.Pipeline(pipe.package, engine, pipe.tokenizers)
    return found


def draw(random_: random.Random) -> Run:
    """A run whose start fits its model; few settings are out of range, and few do not go together."""
    model = random_.choice(("plain",) * 6 + tuple(MODELS))
    start = {"inpaint": "mask", "instruct": "picture"}.get(model) or random_.choice(
        ("picture", "picture", "picture", "text", "mask", "outpaint", "latents", "array")
    )
    width, height = (random_.choice((8, 16, 24, 31, 40, 64, 100)) for _ in range(2))
    settings = dict(_settings(random_, model, start))
    size = {"width": width, "height": height} if start == "text" else {}
    return Run(model, start, _image(random_, start, width, height), size, settings)


def _image(random_: random.Random, start: str, width: int, height: int) -> Any:
    if start == "text":
        return None
    pixels = np.random.default_rng(random_.getrandbits(32)).integers(0, 256, (height, width, 3), np.uint8)
    if start == "array":
        return random_.choice((pixels, pixels[..., 0], pixels / np.float32(255)))
    if start == "latents":
        return Image.fromarray(pixels)
    picture = _in_mode(Image.fromarray(pixels), random_.choice(MODES))
    if start == "mask":
        grey = Image.fromarray((pixels[..., 1] > 128).astype(np.uint8) * np.uint8(255))
        mask = random_.choice((grey, Image.fromarray(pixels[..., 0]), Image.new("L", picture.size, 255)))
        padding = random_.choice((None, None, 0, 8, 500))
        return masks.edit(read(picture), mask, blur=random_.choice((0, 0, 2, 30)), padding=padding, size=(64, 64))
    if start == "outpaint":
        margins = outpaint.Margins(*(random_.choice((0, 1, 8, 30)) for _ in range(3)), bottom=random_.choice((1, 16)))
        return outpaint.edit(read(picture), margins, random_.choice((0, 4, 16)))
    return picture


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)
    return image.convert("RGBA").convert("LA") if mode == "LA" else image.convert(mode)


def _settings(random_: random.Random, model: str, start: str) -> Iterator[tuple[str, Any]]:
    def sometimes(share: float) -> bool:
        return random_.random() < share

    share = random_.random
    yield "strength", random_.choice((0, 1, 1, 0.5, 1e-9, 1 - 1e-9, share(), share(), share(), share(), share()))
    yield "steps", random_.choice((1, 2, 3, 4, 5, 7, 10, 20, 30 if sometimes(0.9) else random_.randint(31, 1000)))
    sampler = random_.choice((None, *sorted(SAMPLERS)))
    yield "sampler", sampler
    yield "schedule", random_.choice((None, *sorted(SCHEDULES), "sigmas 14.6,5,2,0.5", "timesteps 999,500,1"))
    yield "dial", random_.choice(("continuous", "continuous", *sorted(DIALS)))
    yield "seed", _seed(random_)
    yield "guidance_scale", random_.choice((0, 1, 1.5, 7.5, 7.5, 1000, 20 * share()))
    own = sampler or {"guided": "plms"}.get(model, "plms")
    if sometimes(0.3) and ("eta" in _taken(own) or sometimes(0.05)):
        yield "eta", random_.choice((0, 1, share()))
    for name, odds, make in OTHERS:
        if sometimes(odds):
            yield name, make(random_)
    if model == "plain" and sometimes(0.2):
        yield "reuse", share()
    if model == "plain" and sometimes(0.2):
        yield "vae", "tiny"
    if start in ("picture", "text") and model != "instruct" and sometimes(0.05):
        yield "denoising_end", share()
    if start == "latents" and sometimes(0.3):
        yield "denoising_start", random_.choice((0.25, 0.5, share()))


OTHERS: tuple[tuple[str, float, Callable[[random.Random], Any]], ...] = (
    ("guidance_rescale", 0.1, lambda r: r.choice((0, 1, r.random()))),
    ("guidance_zero_star", 0.1, lambda r: r.choice((True, False))),
    ("guidance_mimic", 0.1, lambda r: r.choice((0, 3, 1000))),
    ("guidance_min_sigma", 0.1, lambda r: r.choice((0, 0.1, 1e6))),
    ("guidance_max_sigma", 0.1, lambda r: r.choice((0, 5, 1e6))),
    ("image_guidance_scale", 0.1, lambda r: r.choice((0, 1, 1.5, 1000))),
    ("negative_prompt", 0.1, lambda r: r.choice(("", "dark", "é" * 40))),
    ("variation_seed", 0.1, lambda r: r.randint(0, 2**32)),
    ("variation_strength", 0.1, lambda r: r.choice((0, 1, 1e-9, r.random()))),
    ("rng", 0.1, lambda r: r.choice(("torch-cpu", "torch-cuda"))),
    ("colour_match", 0.1, lambda r: r.choice((0, 1, r.random()))),
    ("tile", 0.1, lambda r: r.choice((0, 8, 16, 32, 64, 100, 16384))),
    ("tile_overlap", 0.05, lambda r: r.choice((0, 1, 8, 16))),
    ("vae_tile", 0.05, lambda r: r.choice((8, 16, 64))),
    ("deadline", 0.03, lambda r: r.choice((0, 1e-6, 0.002, 1e6))),
)


def _taken(sampler: str) -> tuple[str, ...]:
    """The arguments that a sampler takes."""
    try:
        method_of(sampler).check_eta(0.5)
    except InputError:
        return ()
    return ("eta",)


def _seed(random_: random.Random) -> Any:
    one = random_.choice((0, 2**64 - 1, -(2**63), random_.getrandbits(32)))
    return [one, one // 2, 7][: random_.choice((2, 3))] if random_.random() < 0.1 else one


def attempt(pipes: dict[str, partway.Pipeline], run: Run) -> str:
    """Run it, and check the contract: an outcome in a word. Raises what goes wrong."""
    kept = pipes[run.model]
    engine = numpy_engine.Numpy(kept.package.networks, partway.EngineOptions())
    pipe = partway.Pipeline(kept.package, engine, kept.tokenizers)  # which remembers nothing
    image, instruct = run.image, run.model == "instruct"
    try:
        if run.start == "latents":
            end = {"denoising_end": run.settings["denoising_start"]} if "denoising_start" in run.settings else {}
            before = {
                name: value for name, value in run.settings.items() if name not in ("denoising_start", "deadline")
            }
            image = kept.img2img(image, "first", **before, **end)
        planned = pipe.plan(image=False if image is None else image, **run.size, **run.settings)
        under_way = pipe.stream("a room", image, instruct=instruct, **run.size, **run.settings)
    except InputError as error:
        return refused(error)
    assert under_way.plan == planned, "the plan is another than the run's"
    steps = list(under_way)
    result = under_way.result()
    plan = result.plan
    assert len(steps) == plan.steps_run, f"{len(steps)} steps, {plan.steps_run} planned"
    assert all(np.isfinite(step.denoised).all() for step in steps), "not finite"
    pictures = len(result.seeds)
    expected = calls(plan, pictures, reuse=bool(result.settings.reuse), fixed=MODELS[run.model].get("batch"))
    assert expected == dict(engine.calls), f"calls {dict(engine.calls)}, {expected} planned"
    made = {name: count * pictures for name, count in plan.rows.items() if count}
    assert made == {name: engine.rows[name] for name in plan.rows if engine.rows[name]}, f"rows {engine.rows}"
    if "denoising_end" in run.settings:
        assert result.latents is not None and np.isfinite(result.latents.values).all()
        return "handed over"
    _check_pictures(pipe, run, result)
    return "ran" if plan.levels else "kept"


def refused(error: InputError) -> str:
    assert "\n" not in str(error)
    return f"refused: {without_numbers(error)[:24]}"


def without_numbers(error: Exception) -> str:
    return re.sub(r"\d[\d.e-]*", "N", str(error))


def _check_pictures(pipe: partway.Pipeline, run: Run, result: partway.Result) -> None:
    strength, dial = run.settings["strength"], run.settings["dial"]
    assert len(result.images) == len(result.seeds)
    if strength == 0 and run.start in ("picture", "mask") and run.model != "instruct" and dial == "continuous":
        source = run.image.source.original if run.start == "mask" else run.image
        assert result.image.mode == source.mode and result.image.tobytes() == source.tobytes(), "0 is not the input"
    if strength == 1 and run.start == "picture" and run.model != "instruct" and dial == "continuous":
        if run.settings.get("deadline", 1e6) < 1e6:
            return
        width, height = run.image.size
        text = replace(pipe).txt2img("a room", width=width, height=height, **run.settings)
        for ours, theirs in zip(result.images, text.images, strict=True):
            assert ours.convert("RGB").tobytes() == theirs.tobytes(), "1 is not text-to-image"
    # A guidance scale of 1000 multiplies what a product's rounding differs by in a larger batch.
    steady = all(run.settings.get(name, 0) <= 100 for name in ("guidance_scale", "image_guidance_scale"))
    if steady and len(result.seeds) > 1 and run.start != "latents" and run.settings.get("deadline", 1e6) == 1e6:
        again = {**run.settings, "seed": result.seeds[-1]}
        alone = pipe.stream("a room", run.image, instruct=run.model == "instruct", **run.size, **again).result()
        difference = np.abs(np.asarray(alone.image, np.float32) - np.asarray(result.images[-1], np.float32))
        assert difference.max() <= 1, "a seed's picture is another alone"


def campaign(folder, seed: int, first: int, count: int) -> Report:
    """Make so many runs, from the one of this number on."""
    report, pipes = Report("combinations"), pipelines(folder)
    for number in range(first, first + count):
        case, begun = f"{seed}:{number}", time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", PartwayWarning)  # what the user is told
                try:
                    run = draw(random.Random(f"{case} combination"))
                except InputError as error:  # of a mask
                    outcome = refused(error)
                else:
                    case = f"{case} {run}"
                    outcome = attempt(pipes, run)
            report.outcome(outcome, case, time.perf_counter() - begun)
        except (Exception, PartwayError) as error:
            report.raised(error, case) if not isinstance(error, AssertionError) else report.fault(
                without_numbers(error)[:30], case, str(error)[:300]
            )
    return report
