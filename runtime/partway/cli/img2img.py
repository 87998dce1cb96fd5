"""``partway img2img``: restyle a picture by a prompt."""

import argparse
from typing import Any

import partway
from partway.cli.arguments import Commands, add_input, add_task
from partway.cli.progress import finish
from partway.cli.tasks import Start, run_from_picture
from partway.pictures import images


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("img2img", help="restyle a picture", description=__doc__)
    add_input(parser)
    add_task(parser)
    text = "go on from the result with this prompt, without a way through pixels; can be repeated"
    parser.add_argument("--then", action="append", metavar="PROMPT", default=argparse.SUPPRESS, help=text)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Restyle a picture, and the result once more for each --then."""

    def prepare(pipe: partway.Pipeline, picture: images.Picture, edit: dict[str, Any]) -> Start:
        def start(prompt: str, **settings: Any) -> partway.Run:
            at: images.Source | partway.Result = picture.original
            for number, following in enumerate(edit.get("then", []), 1):
                run = pipe.stream(prompt, at, decode=False, **settings)
                at, prompt = finish(run, label=f"prompt {number}", quiet=options.quiet), following
            return pipe.stream(prompt, at, **settings)

        return start

    return run_from_picture(options, "img2img", prepare)
