"""``partway instruct``: change a picture as told, with an InstructPix2Pix model."""

import argparse
from functools import partial

from partway.cli.arguments import Commands, add_input, add_task
from partway.cli.tasks import run_from_picture


def add(commands: Commands) -> None:
    """Add the command."""
    text = "change a picture as told, with an InstructPix2Pix model"
    parser = commands.add_parser("instruct", help=text, description=__doc__)
    add_input(parser)
    add_task(parser, strength=False, instruction=True)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Change a picture as told."""
    return run_from_picture(
        options, "instruct", lambda pipe, picture, edit: partial(pipe.stream, image=picture.original, instruct=True)
    )
