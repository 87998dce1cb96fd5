"""``partway schedules``: the schedules of noise levels there are."""

import argparse

import partway
from partway.cli.arguments import Commands
from partway.cli.summaries import print_summaries


def add(commands: Commands) -> None:
    """Add the command."""
    text = "the schedules of noise levels there are"
    parser = commands.add_parser("schedules", help=text, description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print each schedule and what it is."""
    print_summaries(partway.SCHEDULES)
    return 0
