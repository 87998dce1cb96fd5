"""``partway inpaint``: change a picture where a mask is white; black keeps every byte, grey is part of the strength."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import partway
from partway.cli.arguments import Commands, add_input, add_mask, add_task
from partway.cli.messages import libraries_unheard
from partway.cli.tasks import Start, run_from_picture
from partway.pictures import masks
from partway.pictures.images import Picture
from partway.pictures.masks import PADDING


def add(commands: Commands) -> None:
    """Add the command."""
    text = "change a picture where a mask is white, and no byte where it is black"
    parser = commands.add_parser("inpaint", help=text, description=__doc__)
    add_input(parser)
    parser.add_argument("mask", metavar="MASK", type=Path, help="a grey picture of the same size")
    add_task(parser)
    add_mask(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Change the masked part of a picture."""

    def prepare(pipe: partway.Pipeline, picture: Picture, edit: dict[str, Any]) -> Start:
        padding = edit.get("padding", PADDING) if edit.get("only_masked") else None
        blur = edit.get("mask_blur", 0)
        with libraries_unheard():
            edited = masks.edit(picture, options.mask, blur=blur, padding=padding, size=pipe.package.size)
        return partial(pipe.stream, image=edited)

    return run_from_picture(options, "inpaint", prepare)
