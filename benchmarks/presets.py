"""What the presets cost in the picture: the built-in model's restyled rooms, each preset's beside the exact one's.

    python -m benchmarks.presets [--rooms N]
    python -m benchmarks.presets --model rooms-lcm --steps 4 --guidance 1 --results benchmarks/results/presets_few.jsonl

Rooms that the model never saw get another style's prompt; the probe of ``models/rooms`` reads layout and style in every
picture. One line for each preset and strength goes to ``results/presets.jsonl``, or where ``--results`` says.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import partway
from benchmarks import records, tables
from benchmarks.quality import ssim
from models.rooms.evaluate import Restyled, curves, restyled
from models.rooms.probe import KEPT, load_probe
from partway.support.machine import versions
from partway_rooms import HELD_OUT

FILE = records.RESULTS / "presets.jsonl"
STRENGTHS = (0.3, 0.45, 0.6, 0.8)
PRESETS = ("exact", "balanced", "fast")
READ = ("layout", "style")


def alike(rooms: Sequence[Restyled], exact: Sequence[Restyled]) -> list[list[float]]:
    """SSIM to the exact pictures: a list of rooms for each strength."""
    pairs = [zip(one.images, other.images, strict=True) for one, other in zip(rooms, exact, strict=True)]
    found = [[ssim(*(np.asarray(image) for image in pair)) for pair in room] for room in pairs]
    return list(map(list, zip(*found, strict=True)))


def colour(rooms: Sequence[Restyled], exact: Sequence[Restyled]) -> list[list[float]]:
    """How far mean colours are from the exact pictures', in levels of the worst channel: a list for each strength."""
    means = [[[np.asarray(image).mean((0, 1)) for image in one.images] for one in some] for some in (rooms, exact)]
    found = np.abs(np.array(means[0]) - np.array(means[1])).max(2)
    return [list(map(float, row)) for row in found.T]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep one line a preset and strength."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--probe", type=Path, default=KEPT, help="another than the one in models/rooms")
    parser.add_argument("--model", default=None, metavar="FOLDER", help="a split package of rooms; default: built in")
    parser.add_argument("--rooms", type=int, default=40)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=None, help="the guidance scale, if another than the default")
    parser.add_argument("--strengths", type=lambda text: tuple(map(float, text.split(","))), default=STRENGTHS)
    parser.add_argument("--results", type=Path, default=FILE)
    args = parser.parse_args(argv)
    session = records.session("presets") | {"versions": versions(("partway", "numpy", "openvino"))}
    probe, settings = load_probe(args.probe), {"steps": args.steps}
    settings |= {} if args.guidance is None else {"guidance_scale": args.guidance}
    exact: list[Restyled] = []
    for preset in PRESETS:
        pipe = partway.load(args.model, preset=preset)
        rooms = [
            restyled(pipe, probe, seed, args.strengths, settings) for seed in range(HELD_OUT, HELD_OUT + args.rooms)
        ]
        exact = exact or rooms
        read, before = curves(rooms, args.strengths), curves(exact, args.strengths)
        measured = zip(args.strengths, alike(rooms, exact), colour(rooms, exact), strict=True)
        for strength, likeness, shift in measured:
            calls = pipe.plan(strength=strength, **settings).calls
            row = {"case": preset, "strength": strength, "rooms": args.rooms, "settings": settings}
            row |= {"whole": calls["unet"], "shallow": calls.get("unet_shallow", 0)}
            row |= {"ssim": float(np.mean(likeness)), "ssim_least": min(likeness)} | read[str(strength)]
            row |= {"colour": float(np.mean(shift)), "colour_most": max(shift)}
            row["drift"] = max(abs(read[str(strength)][name] - before[str(strength)][name]) for name in READ)
            records.append(args.results, session | row)
            print(row, flush=True)
    if args.results == FILE:
        tables.renew()
    return 0


if __name__ == "__main__":
    sys.exit(main())
