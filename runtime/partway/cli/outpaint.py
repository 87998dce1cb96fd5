"""``partway outpaint``: continue a picture beyond its edges."""

import argparse
from functools import partial
from typing import Any

import partway
from partway.cli.arguments import Commands, add_input, add_pixels, add_task
from partway.cli.tasks import Start, run_from_picture
from partway.pictures.images import Picture
from partway.pictures.outpaint import FEATHER, Margins, edit


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("outpaint", help="continue a picture beyond its edges", description=__doc__)
    add_input(parser)
    add_task(parser)
    group = parser.add_argument_group("how far")
    for name in ("left", "top", "right", "bottom"):
        add_pixels(group, name, f"to add at the {name}")
    add_pixels(group, "feather", f"of the picture that the seam may change (default {FEATHER})")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Continue a picture."""

    def prepare(pipe: partway.Pipeline, picture: Picture, flags: dict[str, Any]) -> Start:
        feather = flags.pop("feather", FEATHER)
        return partial(pipe.stream, image=edit(picture, Margins(**flags), feather))

    return run_from_picture(options, "outpaint", prepare)
