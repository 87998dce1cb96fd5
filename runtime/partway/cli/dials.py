"""``partway dials``: the meanings of strength there are."""

import argparse

import partway
from partway.cli.arguments import Commands
from partway.cli.summaries import print_summaries


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("dials", help="the meanings of strength there are", description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print each dial and what it is."""
    print_summaries(partway.DIALS)
    return 0
