"""``partway samplers``, ``partway schedules`` and ``partway dials``: the names there are."""

import argparse
import inspect
from collections.abc import Callable, Mapping
from functools import partial

import partway
from partway.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the three commands."""
    for name, help_, run in (
        ("samplers", "the samplers there are", samplers),
        ("schedules", "the schedules of noise levels there are", _described(partway.SCHEDULES)),
        ("dials", "the meanings of strength there are", _described(partway.DIALS)),
    ):
        parser = commands.add_parser(name, help=help_)
        parser.set_defaults(command=run)


def samplers(options: argparse.Namespace) -> int:
    """Print each sampler with its order, whether it adds noise, and its eta."""
    print(f"{'name':<14} {'order':>5}  {'random':<7} eta")
    for name, method in partway.SAMPLERS.items():
        eta = "-" if method.eta is None else f"{method.eta:g} by default"
        print(f"{name:<14} {method.order:>5}  {'yes' if method.stochastic else 'no':<7} {eta}")
    return 0


def _described(functions: Mapping[str, Callable[..., object]]) -> Callable[[argparse.Namespace], int]:
    return partial(_print, functions)


def _print(functions: Mapping[str, Callable[..., object]], options: argparse.Namespace) -> int:
    for name, function in functions.items():
        summary = (inspect.getdoc(function) or "").partition("\n")[0].replace("``", "")
        print(f"{name:<14} {summary}")
    return 0
