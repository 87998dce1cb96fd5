"""The command ``partway export``."""

import argparse
import sys
import time
from collections.abc import Sequence

from partway.errors import PartwayError
from partway_export.families import FORMATS, WEIGHTS
from partway_export.guard import one_line
from partway_export.stages import export


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``partway export``."""
    it = argparse.ArgumentParser(
        prog="partway export", description="Turn a diffusers model into a package that runs without torch."
    )
    it.add_argument("source", help="a diffusers folder, or a Hub id (owner/name)")
    it.add_argument("out", help="the folder to write; must not exist, or be empty")
    it.add_argument("--to", choices=list(FORMATS), default="onnx", help="format; default: onnx, for both engines")
    it.add_argument("--weights", choices=WEIGHTS, default="fp16", help="how weights are stored; default: fp16")
    it.add_argument("--revision", help="branch, tag or commit of a Hub id")
    it.add_argument("--no-goldens", action="store_true", help="leave out what `partway doctor` compares with")
    return it


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``partway export``; return the exit code: 0, or 2 after one line on stderr."""
    options = parser().parse_args(argv)
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - start:6.1f} s] {text}", file=sys.stderr, flush=True)

    try:
        export(
            options.source,
            options.out,
            to=options.to,
            weights=options.weights,
            revision=options.revision,
            goldens=not options.no_goldens,
            say=say,
        )
    except (PartwayError, OSError) as error:
        print(f"partway export: {one_line(error)}", file=sys.stderr)
        return 2
    say(f"wrote {options.out}")
    return 0
