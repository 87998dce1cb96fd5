"""``partway models``: well-known models, to run or to export by name, and the settings that suit them."""

import argparse

from partway.cli.arguments import Commands
from partway.model.catalog import entries


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("models", help="well-known models, to export by name", description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print each model: its name, what to do for it, size and licence, what it is; then settings that suit it."""
    print(f"{'name':<21} {'to run it':<10} {'GB':>5}  {'licence':<22} what")
    for entry in entries().values():
        way = "built in" if entry.built_in else "ready" if entry.package else "export"
        size = "" if entry.gigabytes is None else f"{entry.gigabytes:.1f}"
        print(f"{entry.name:<21} {way:<10} {size:>5}  {entry.licence or 'see its model card':<22} {entry.title}")
        if entry.defaults:
            print(f"{'':<21} {', '.join(f'{name} {value}' for name, value in entry.defaults.items())}")
    return 0
