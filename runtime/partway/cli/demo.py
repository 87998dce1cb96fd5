"""``partway demo``: a living room that the built-in model never saw, restyled at several strengths."""

import argparse
from pathlib import Path

from partway.cli.arguments import Commands
from partway.cli.sweep import add_sweep
from partway.cli.sweep import run as sweep
from partway.errors import InputError, PartwayError
from partway.support.files import check_writable, unused, write_atomically

PROMPT = "photo of an art deco living room, warm light"
STRENGTHS = "0.2,0.3,0.45,0.55,0.65,0.8,1"
ROOM = 29  # mid-century, in daylight


def add(commands: Commands) -> None:
    """Add the command."""
    text = "draw a living room and restyle it with the built-in model; works offline"
    parser = commands.add_parser("demo", help=text, description=__doc__)
    parser.add_argument("prompt", metavar="PROMPT", nargs="?", default=PROMPT, help='default: "%(default)s"')
    parser.add_argument(
        "--room", type=int, default=ROOM, metavar="N", help="which room, 0 .. 999999 (default %(default)s)"
    )
    add_sweep(parser, strengths=STRENGTHS)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draw the room into a file of its own, then do what ``partway sweep`` does with a user's picture."""
    from partway_rooms import room

    if not 0 <= options.room < 1_000_000:
        raise InputError(f"there are rooms 0 to 999999, not {options.room}")
    folder = Path(options.output).parent if options.output else Path()
    options.input = unused(folder, f"room-{options.room}", ".png")
    drawn = room(options.room)
    check_writable(options.input)
    write_atomically(options.input, lambda file: drawn.picture.save(file, "PNG"))
    try:
        print(f"{options.input}  a room that the model has never seen: {drawn.caption}")
        code = sweep(options)
    except PartwayError:
        options.input.unlink()  # nothing came of it
        raise
    print(f'next: partway img2img {options.input} "{options.prompt}" --strength 0.5')
    return code
