"""The command ``partway export``."""

import argparse
import sys
import time
from collections.abc import Sequence

from partway.cli.arguments import Parser, lora
from partway.errors import InputError
from partway.model.catalog import entries
from partway_export.families import FORMATS, WEIGHTS
from partway_export.stages import export


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``partway export``."""
    it = Parser(prog="partway export", description="Turn a model into a package: smaller, cut, or for one engine.")
    it.add_argument(
        "source", help="a .safetensors file, a diffusers folder, a Hub id (owner/name), or a name of: partway models"
    )
    text = "the folder to write; must not exist, or be empty; default: the catalogue name"
    it.add_argument("out", nargs="?", help=text)
    it.add_argument("--to", choices=list(FORMATS), default="onnx", help="format; default: onnx, for both engines")
    text = "how weights are stored; int4: matrix products in 4 bits, the rest in 8; "
    text += "w8a8: the UNet also computes in 8 bits, calibrated on pictures; default: fp16"
    it.add_argument("--weights", choices=WEIGHTS, default="fp16", help=text)
    text = "for w8a8: a folder of pictures, prompts.txt (one a line) or both to calibrate on; default: built in"
    it.add_argument("--calibration", metavar="DIR", help=text)
    it.add_argument("--vae", metavar="FILE", help="a file whose VAE takes the place of the model's own")
    text = (
        "a file, folder or Hub id of an AutoencoderTiny (TAESD) to put beside the VAE, for --vae tiny and tiny-decoder"
    )
    it.add_argument("--tiny-vae", metavar="SOURCE", help=text)
    text = "epsilon or v_prediction: what a model's file predicts, where it does not say so"
    it.add_argument("--prediction", metavar="NAME", help=text)
    text = "also split off the UNet's outermost layers, for --reuse and the presets balanced and fast"
    it.add_argument("--split", action="store_true", help=text)
    text = "also cut the UNet into N segments, for machines that cannot hold it (--stream)"
    it.add_argument("--segments", type=int, metavar="N", help=text)
    text = "a LoRA or relative with its weight, as film.safetensors:0.8, to make a part of the model; can be repeated"
    it.add_argument("--lora", type=lora, action="append", dest="loras", metavar="FILE:W", default=[], help=text)
    it.add_argument("--revision", help="branch, tag or commit of a Hub id")
    it.add_argument(
        "--verify", action="store_true", help="also compare every network with torch's, which is needed then"
    )
    it.add_argument("--no-goldens", action="store_true", help="leave out what partway doctor compares with")
    return it


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``partway export`` and return 0; raises what `partway.cli.main` turns into one line and an exit code."""
    options = parser().parse_args(argv)
    if options.out is None and options.source not in entries():
        raise InputError("where to? give a folder to write after the source; see: partway export --help")
    out = options.out or options.source
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - start:6.1f} s] {text}", file=sys.stderr, flush=True)

    export(
        options.source,
        out,
        to=options.to,
        weights=options.weights,
        revision=options.revision,
        goldens=not options.no_goldens,
        calibration=options.calibration,
        vae=options.vae,
        tiny_vae=options.tiny_vae,
        prediction=options.prediction,
        split=options.split,
        segments=options.segments,
        verify=options.verify,
        loras=options.loras,
        say=say,
    )
    say(f"wrote {out}")
    return 0
