"""``partway export``: handed on to partway_export, whose work needs torch, which an extra installs."""

import argparse
from importlib import import_module
from importlib.util import find_spec

from partway.cli.arguments import Commands
from partway.errors import EngineError, install

_NEEDED = ("torch", "diffusers", "transformers", "optimum", "onnx")


def add(commands: Commands) -> None:
    """Add the command to the list that --help shows; `forward` is what runs."""
    commands.add_parser("export", help="turn a diffusers model into a model folder (needs torch)", add_help=False)


def forward(options: argparse.Namespace) -> int:
    """Run partway_export's own command line with ``options.arguments``; its --help needs nothing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing and not {"-h", "--help"} & set(options.arguments):
        raise EngineError(f"export needs {', '.join(missing)}; {install('export')}")
    return int(import_module("partway_export.cli").main(options.arguments))
