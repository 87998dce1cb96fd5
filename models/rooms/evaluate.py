"""Measures a package on held-out rooms: python -m models.rooms.evaluate PACKAGE --out FOLDER.

PACKAGE is what `partway export` wrote (fp32, fp16 or int8, many steps or few); it runs in partway itself. Writes
`<name>.json` with every figure; `python -m models.rooms.report FOLDER` turns several into the table and the plots.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import partway
from partway.model.networks import Networks
from partway.support import machine
from partway_rooms import HELD_OUT
from partway_rooms.renderer import KINDS, LIGHTS, STYLES
from partway_rooms.renderer.captions import MEDIUM_WORDS

from . import GUIDANCE
from .probe import KEPT, NAMES, load_probe, read, true_labels
from .renders import picture, true_map

drawn = lru_cache(512)(picture)  # every measure looks at the same rooms
STRENGTHS = (*(round(0.1 * i, 1) for i in range(11)), 0.45)
WORDS: dict[str, dict[str, str]] = {
    "style": {name: style.words[0] for name, style in STYLES.items()},
    "light": {name: light.words[0] for name, light in LIGHTS.items()},
    "medium": {name: words[0] for name, words in MEDIUM_WORDS.items()},
}


def overlap(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Mean intersection over union of the classes that are in either map and cover 0.5 % of the true one or more."""
    scores = []
    for kind in range(len(KINDS)):
        a, b = found == kind, true == kind
        if b.mean() >= 0.005:
            scores.append((a & b).sum() / (a | b).sum())
    return float(np.mean(scores))


def other(name: str, number: int, rng: np.random.Generator) -> str:
    """Another value than the picture's own."""
    values = NAMES[name]
    return values[(number + int(rng.integers(1, len(values)))) % len(values)]


def round_trip(pipe: Any, count: int) -> dict[str, float]:
    """PSNR in dB of VAE encoding and decoding, mean and standard error."""
    networks, found = Networks(pipe.engine, pipe.package), []
    for seed in range(HELD_OUT, HELD_OUT + count):
        x = drawn(seed).pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        still = np.zeros(pipe.package.latent_shape(256, 256), np.float32)
        latents = networks.to_latents(networks.encode_image(x), still)
        y = np.clip(networks.decode_image(latents), -1, 1)
        found.append(-10 * np.log10(np.mean(((y - x) / 2) ** 2)))
    return {"psnr": float(np.mean(found)), "error": float(np.std(found) / count**0.5)}


def text_to_image(pipe: Any, probe: Any, count: int, settings: dict[str, Any]) -> dict[str, float]:
    """Share of pictures in which the probe reads the style, the light and the medium that were asked for."""
    rng, right = np.random.default_rng(11), np.zeros(3)
    for index in range(count):
        asked = [int(rng.integers(len(values))) for values in NAMES.values()]
        style, light, medium = (WORDS[n][NAMES[n][i]] for n, i in zip(NAMES, asked, strict=True))
        image = pipe.txt2img(f"a {medium} of a {style} living room, {light}", seed=index, **settings).image
        right += read(probe, np.asarray(image)[None])[1][0] == asked
    return dict(zip(NAMES, (right / count).tolist(), strict=True))


class Restyled(NamedTuple):
    """A room with another style's prompt at several strengths: pictures, layouts, whether the probe reads that style.

    ``own`` is the layout that the probe reads in the render itself.
    """

    images: list[Image.Image]
    layouts: list[float]
    changed: list[bool]
    own: float


def restyled(pipe: Any, probe: Any, seed: int, strengths: Sequence[float], settings: Mapping[str, Any]) -> Restyled:
    """A held-out room restyled; prompt and picture are encoded once for all strengths."""
    rng, source, labels = np.random.default_rng([12, seed]), drawn(seed).pixels, true_labels(seed)
    style = other("style", labels[0], rng)
    light, medium = (WORDS[n][NAMES[n][i]] for n, i in zip(("light", "medium"), labels[1:], strict=True))
    prompt = f"a {medium} of a {WORDS['style'][style]} living room, {light}"
    made = [pipe.img2img(Image.fromarray(source), prompt, strength=s, seed=seed, **settings).image for s in strengths]
    maps, found = read(probe, np.stack([*(np.asarray(image) for image in made), source]))
    true = true_map(seed)
    layouts = [overlap(one, true) for one in maps]
    return Restyled(made, layouts[:-1], (found[:-1, 0] == NAMES["style"].index(style)).tolist(), layouts[-1])


def curves(rooms: Sequence[Restyled], strengths: Sequence[float]) -> dict[str, dict[str, float]]:
    """Layout agreement, as a share of the probe's own on renders, and style change, with standard errors."""
    layouts, changes = (np.array(values, float) for values in ([r.layouts for r in rooms], [r.changed for r in rooms]))
    layouts /= np.mean([room.own for room in rooms])
    return {
        str(strength): {
            "layout": float(layout.mean()),
            "layout_error": float(layout.std() / len(rooms) ** 0.5),
            "style": float(changed.mean()),
            "style_error": float(changed.std() / len(rooms) ** 0.5),
        }
        for strength, layout, changed in zip(strengths, layouts.T, changes.T, strict=True)
    }


def dial(
    pipe: Any, probe: Any, count: int, strengths: Sequence[float], settings: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """The dial: `curves` of so many held-out rooms."""
    rooms = range(HELD_OUT, HELD_OUT + count)
    return curves([restyled(pipe, probe, seed, strengths, settings) for seed in rooms], strengths)


def probe_on_renders(probe: Any, count: int) -> dict[str, float]:
    """How well the probe reads held-out renders: the ceiling of everything else."""
    overlaps, right = [], np.zeros(3)
    for seed in range(HELD_OUT, HELD_OUT + count):
        maps, labels = read(probe, drawn(seed).pixels[None])
        overlaps.append(overlap(maps[0], true_map(seed)))
        right += labels[0] == true_labels(seed)
    return {"layout": float(np.mean(overlaps))} | dict(zip(NAMES, (right / count).tolist(), strict=True))


def seconds(pipe: Any, settings: dict[str, Any]) -> float:
    """Seconds of one 256x256 image-to-image of all steps (strength 1), the best of three after a warm-up."""
    source = Image.fromarray(drawn(HELD_OUT).pixels)

    def once(seed: int) -> float:
        started = time.perf_counter()
        pipe.img2img(source, f"a scandinavian living room {seed}", strength=1.0, seed=seed, **settings)
        return time.perf_counter() - started

    return min([once(seed) for seed in range(4)][1:])


def measured(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Every figure, one at a time."""
    probe = load_probe(args.probe)
    pipe = partway.load(args.package, engine=args.engine, threads=args.threads)
    settings: dict[str, Any] = {"steps": args.steps, "guidance_scale": args.guidance}
    yield (
        "machine",
        {"processor": machine.processor()[0], "cores": machine.cores(), "engine": args.engine, "threads": args.threads},
    )
    yield "settings", settings | {"rooms": args.rooms, "pictures": args.pictures}
    engines = ("onnxruntime", "openvino") if pipe.package.format == "onnx" else ("openvino",)
    if not args.untimed:
        pipes = {name: partway.load(args.package, engine=name, threads=args.threads) for name in engines}
        yield "seconds", {name: seconds(one, settings) for name, one in pipes.items()}
    yield "probe", probe_on_renders(probe, args.rooms)
    yield "vae", round_trip(pipe, args.rooms)
    yield "text_to_image", text_to_image(pipe, probe, args.pictures, settings)
    yield "dial", dial(pipe, probe, args.rooms, sorted(args.strengths), settings)


def main() -> None:
    """Measures, printing each figure as it is known, and writes them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    parser.add_argument("--probe", type=Path, default=KEPT)
    parser.add_argument("--out", type=Path, default=Path("models/rooms/results"))
    parser.add_argument("--name", default=None)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS)
    parser.add_argument("--untimed", action="store_true", help="leave the seconds out, where other work runs beside it")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = {}
    for name, value in measured(args):
        found[name] = value
        print(json.dumps({name: value}), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{args.name or Path(args.package).name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
