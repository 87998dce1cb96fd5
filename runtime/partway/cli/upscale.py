"""``partway upscale``: enlarge a picture and refine it, tile by tile."""

import argparse
from functools import partial

from partway.cli.arguments import Commands, add_input, add_task
from partway.cli.tasks import run_from_picture


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("upscale", help="enlarge a picture and refine it, tile by tile", description=__doc__)
    add_input(parser)
    add_task(parser)
    parser.add_argument("--scale", type=float, metavar="F", default=argparse.SUPPRESS, help="times (default 2)")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Enlarge a picture and refine it; the prompt may be left out."""
    options.prompt = "" if options.prompt is None and options.from_png is None else options.prompt
    return run_from_picture(
        options, "upscale", lambda pipe, picture, edit: partial(pipe.stream_upscale, image=picture.original, **edit)
    )
