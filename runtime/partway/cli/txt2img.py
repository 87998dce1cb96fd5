"""``partway txt2img``: make a picture from a prompt alone."""

import argparse
from functools import partial

from partway.cli.arguments import Commands, add_task
from partway.cli.outputs import Outputs, inputs_of
from partway.cli.request import load, request
from partway.cli.tasks import Task, run_each


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("txt2img", help="make a picture from a prompt alone", description=__doc__)
    add_task(parser, strength=False)
    text = "pixels (default: what the model was trained for)"
    parser.add_argument("--width", type=int, metavar="N", help=text)
    parser.add_argument("--height", type=int, metavar="N", help=text)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Make a picture, by default in the size of the one that is replayed."""
    wanted = request(options, "txt2img")
    width, height = wanted.size or (None, None)
    width = width if options.width is None else options.width
    height = height if options.height is None else options.height
    outputs = Outputs(options.output, stem="", count=options.count, inputs=inputs_of(options))
    pipe = load(wanted)
    start = partial(pipe.stream, width=width, height=height)
    return run_each(options, Task("txt2img", wanted, pipe), start, outputs)
