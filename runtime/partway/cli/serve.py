"""``partway serve``: a page to turn the dial on, and the APIs of OpenAI and A1111, on this machine."""

import argparse
import logging
import signal
import sys
import warnings
from typing import Any

from partway.cli.arguments import LOAD, Commands, add_options, add_prediction, lora, supplied
from partway.errors import PartwayWarning
from partway.serve.limits import Limits
from partway.serve.shelf import Shelf
from partway.serve.start import Options, started


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("serve", help="a page, and the APIs of OpenAI and A1111", description=__doc__)
    text = "a folder, a .safetensors file, a Hub id, or one of: partway models (default: rooms); the first is default"
    parser.add_argument("models", metavar="MODEL", nargs="*", help=text)
    group = parser.add_argument_group("who may ask")
    group.add_argument("--host", default=Options.host, help="the address to listen on (default %(default)s)")
    group.add_argument("--port", type=int, default=Options.port, help="0 for any free one (default %(default)s)")
    text = "what clients have to show; made up and printed where --host is not this machine alone"
    group.add_argument("--token", help=text)
    text = "let pages of another server use this one, like http://localhost:3000; can be repeated"
    group.add_argument("--cors", metavar="ORIGIN", action="append", default=[], help=text)
    text = "a name by which clients call it, like host.docker.internal; can be repeated"
    group.add_argument("--allow-host", metavar="NAME", action="append", default=[], help=text)
    group = parser.add_argument_group("what they may ask for")
    text = "for image-to-image where a client gives none (default: the model's own)"
    group.add_argument("--strength", type=float, metavar="S", help=text)
    text = "requests that may wait while one runs (default %(default)s)"
    group.add_argument("--queue", type=_count, default=Limits.waiting, metavar="N", help=text)
    text = "of a picture that is worked on; larger ones are made smaller (default %(default)s)"
    group.add_argument("--max-pixels", type=_pixels, default=Limits.pixels, metavar="N", help=text)
    group.add_argument("--max-steps", type=_count, default=Limits.steps, metavar="N", help="(default %(default)s)")
    text = "seconds for one picture: steps are dropped where they are too slow"
    group.add_argument("--deadline", type=float, metavar="T", help=text)
    group.add_argument("--verbose", "-v", action="store_true", help="say each request on stderr, without what is in it")
    text = "the folder of what a prompt may name as <lora:film:0.8>"
    group.add_argument("--lora-dir", metavar="DIR", help=text)
    group.add_argument("--embedding-dir", metavar="DIR", help="the folder of embeddings that a prompt may name")
    group = parser.add_argument_group("what to run them on")
    add_prediction(group)
    text = "a file whose VAE takes the place of the models' own"
    group.add_argument("--vae", metavar="FILE", default=argparse.SUPPRESS, help=text)
    text = "a LoRA or relative with its weight, for prompts that name none; can be repeated"
    group.add_argument(
        "--lora", type=lora, action="append", dest="loras", metavar="FILE:W", default=argparse.SUPPRESS, help=text
    )
    group.add_argument("--revision", default=argparse.SUPPRESS, help="branch, tag or commit of a Hub id")
    add_options(group)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Listen, say where, and answer until interrupted."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # oddities of clients' files, which Pillow copes with
    warnings.filterwarnings("ignore", category=PartwayWarning)  # about a client's wish, which is none of the log's
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", stream=sys.stderr)
    server = started(
        Options(
            models=tuple(options.models),
            load=supplied(options, (*LOAD, "vae", "loras")),
            host=options.host,
            port=options.port,
            token=options.token,
            origins=tuple(options.cors),
            hosts=tuple(options.allow_host),
            strength=options.strength,
            shelf=Shelf(options.lora_dir, options.embedding_dir),
            limits=Limits(
                waiting=options.queue, pixels=options.max_pixels, steps=options.max_steps, deadline=options.deadline
            ),
        )
    )
    print(f"partway serves {', '.join(server.service.models.names)} at {server.page}", flush=True)
    print(f"APIs: {server.address}/v1 (OpenAI's images), {server.address} (A1111's); Ctrl+C ends it", flush=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        server.run()
    finally:
        server.close()
    return 0


def _end(*_: Any) -> None:
    raise KeyboardInterrupt


def _count(text: str) -> int:
    return _at_least(1, text)


def _pixels(text: str) -> int:
    return _at_least(64, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"a whole number of at least {least} is needed, not {text!r}")
    return int(text)
