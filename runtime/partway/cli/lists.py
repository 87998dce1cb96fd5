"""``partway samplers``, ``schedules``, ``dials``, ``presets`` and ``models``: the names there are."""

import argparse
import inspect
from collections.abc import Callable, Mapping
from functools import partial

import partway
from partway.cli.arguments import Commands
from partway.diffusion.names import A1111_SAMPLERS, SAMPLER_ALIASES
from partway.model.catalog import entries


def add(commands: Commands) -> None:
    """Add the commands."""
    for name, help_, run in (
        ("samplers", "the samplers there are", samplers),
        ("schedules", "the schedules of noise levels there are", _described(partway.SCHEDULES)),
        ("dials", "the meanings of strength there are", _described(partway.DIALS)),
        ("presets", "ways to be fast or small", presets),
        ("models", "well-known models, to export by name", models),
    ):
        parser = commands.add_parser(name, help=help_)
        parser.set_defaults(command=run)


def samplers(options: argparse.Namespace) -> int:
    """Print each sampler: order, calls a step, whether it draws noise, its eta, its other names."""
    print(f"{'name':<14} {'order':>5} {'calls':>5}  {'random':<7} {'eta':<6} also called")
    for name, method in partway.SAMPLERS.items():
        eta = "-" if method.eta is None else f"{method.eta:g}"
        random, label = "yes" if method.stochastic else "no", A1111_SAMPLERS.get(name)
        others = ", ".join([*([label] if label else []), *SAMPLER_ALIASES.get(name, ())])
        print(f"{name:<14} {method.order:>5} {method.calls:>5}  {random:<7} {eta:<6} {others}".rstrip())
    return 0


def presets(options: argparse.Namespace) -> int:
    """Print each preset: what it does, and the options and settings that it stands for."""
    for name, preset in partway.PRESETS.items():
        print(f"{name:<10} {preset.what}")
        print(f"{'':<10} {', '.join(f'{name} {value}' for name, value in (preset.options | preset.settings).items())}")
    return 0


def models(options: argparse.Namespace) -> int:
    """Print each model: its name, what to do for it, size and licence, what it is; then settings that suit it."""
    print(f"{'name':<21} {'to run it':<10} {'GB':>5}  {'licence':<22} what")
    for entry in entries().values():
        way = "built in" if entry.built_in else "ready" if entry.package else "export"
        size = "" if entry.gigabytes is None else f"{entry.gigabytes:.1f}"
        print(f"{entry.name:<21} {way:<10} {size:>5}  {entry.licence or 'see its model card':<22} {entry.title}")
        if entry.defaults:
            print(f"{'':<21} {', '.join(f'{name} {value}' for name, value in entry.defaults.items())}")
    return 0


def _described(functions: Mapping[str, Callable[..., object]]) -> Callable[[argparse.Namespace], int]:
    return partial(_print, functions)


def _print(functions: Mapping[str, Callable[..., object]], options: argparse.Namespace) -> int:
    for name, function in functions.items():
        summary = (inspect.getdoc(function) or "").partition("\n")[0].replace("``", "")
        print(f"{name:<14} {summary}")
    return 0
