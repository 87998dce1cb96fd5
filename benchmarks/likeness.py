"""How near the pictures of a package with fewer bits are to those of float32: PSNR and SSIM.

    python -m benchmarks.likeness FP32 OTHER [OTHER ...]

Both are packages of the built-in model, exported with different ``--weights``; rooms that it never saw are restyled
by both with the same prompts and seeds. One line for each package and engine goes to ``results/likeness.jsonl``.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import partway
from benchmarks import records
from benchmarks.quality import Pixels, psnr, ssim
from partway_rooms import room

FILE = records.RESULTS / "likeness.jsonl"
STRENGTHS = (0.3, 0.45, 0.8)
ROOMS = 6
PROMPTS = (
    "cozy scandinavian interior, warm light",
    "a dark industrial loft at night",
    "a bright watercolour of a room",
)


def pictures(package: Path, engine: str) -> Iterator[Image.Image]:
    """The rooms as the package restyles them, strength by strength."""
    pipe = partway.load(package, engine=engine)
    for strength in STRENGTHS:
        for number in range(ROOMS):
            prompt = PROMPTS[number % len(PROMPTS)]
            yield pipe.img2img(room(number).picture, prompt, strength=strength, seed=number).image


def decibels(a: Pixels, b: Pixels) -> float:
    """PSNR in dB, infinite where they are equal."""
    found = psnr(a, b)
    return math.inf if found is None else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fp32", type=Path, help="the package to compare with")
    parser.add_argument("others", type=Path, nargs="+", help="packages of the same model")
    args = parser.parse_args()
    session = records.session("likeness")
    expected = list(pictures(args.fp32, "auto"))
    for package in args.others:
        manifest = partway.load(package).package.manifest
        for engine in ("onnxruntime", "openvino") if manifest["format"] == "onnx" else ("openvino",):
            pairs = list(zip(expected, pictures(package, engine), strict=True))
            each = [decibels(*(np.asarray(picture) for picture in pair)) for pair in pairs]
            alike = [ssim(*(np.asarray(picture.convert("L"))[..., None] for picture in pair)) for pair in pairs]
            row = {"format": manifest["format"], "weights": manifest["weights"], "engine": engine, "rooms": ROOMS}
            for name, values in (("psnr", each), ("ssim", alike)):
                table = np.reshape(values, (len(STRENGTHS), ROOMS))
                for what, figures in (("mean", table.mean(axis=1)), ("least", table.min(axis=1))):
                    row[f"{name}_{what}"] = dict(zip(map(str, STRENGTHS), figures.round(3).tolist(), strict=True))
            records.append(FILE, session | row)
            print(row)


if __name__ == "__main__":
    main()
