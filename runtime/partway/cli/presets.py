"""``partway presets``: named ways to be fast or small."""

import argparse

import partway
from partway.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("presets", help="ways to be fast or small", description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print each preset: what it does, and the options and settings that it stands for."""
    for name, preset in partway.PRESETS.items():
        print(f"{name:<10} {preset.what}")
        print(f"{'':<10} {', '.join(f'{name} {value}' for name, value in (preset.options | preset.settings).items())}")
    return 0
