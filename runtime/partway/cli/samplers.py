"""``partway samplers``: the samplers there are, with their order, calls a step, randomness and other names."""

import argparse

import partway
from partway.cli.arguments import Commands
from partway.diffusion.names import A1111_SAMPLERS, SAMPLER_ALIASES


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("samplers", help="the samplers there are", description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print each sampler: order, calls a step, whether it draws noise, its eta, its other names."""
    width = max(map(len, partway.SAMPLERS))
    print(f"{'name':<{width}} {'order':>5} {'calls':>5}  {'random':<7} {'eta':<6} also called")
    for name, method in partway.SAMPLERS.items():
        eta = "-" if method.eta is None else f"{method.eta:g}"
        random, label = "yes" if method.stochastic else "no", A1111_SAMPLERS.get(name)
        others = ", ".join([*([label] if label else []), *SAMPLER_ALIASES.get(name, ())])
        print(f"{name:<{width}} {method.order:>5} {method.calls:>5}  {random:<7} {eta:<6} {others}".rstrip())
    return 0
