"""``partway export``: handed on to partway_export."""

import argparse
from importlib import import_module

from partway.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command to the list that --help shows; `forward` is what runs."""
    commands.add_parser("export", help="turn a model into a folder: smaller, cut, or for one engine", add_help=False)


def forward(options: argparse.Namespace) -> int:
    """Run partway_export's own command line with ``options.arguments``."""
    return int(import_module("partway_export.cli").main(options.arguments))
