"""``partway doctor``: is this model whole, and does it compute what it should on this machine?"""

import argparse
from itertools import chain

from partway.cli.arguments import Commands, add_engine, supplied
from partway.engines import Engine, EngineOptions, devices, engine_named, open_engine
from partway.model.agreement import check_agreement
from partway.model.doctor import check_files, check_networks
from partway.model.opening import open_model
from partway.model.package import Package


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="check a model's files and results on this machine", description=__doc__
    )
    parser.add_argument("model", metavar="MODEL", help="a folder, a file, or a Hub id (owner/name)")
    add_engine(parser)
    parser.add_argument("--precision", default=argparse.SUPPRESS, help="arithmetic: fp32, bf16, fp16, or fastest")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print one line a check; return 1 if one failed."""
    package = open_model(options.model)
    chosen = EngineOptions(**supplied(options, ("device", "precision")))
    name = engine_named(getattr(options, "engine", "auto"), package.networks, chosen.device)
    engine = open_engine(name, package.networks, chosen)
    if package.checkpoint is not None:
        print("this model is not exported: one engine is compared with another, for nothing says what is right")
        checks = check_agreement(package, engine, _other(name, package))
    else:
        checks = chain(check_files(package), check_networks(package, engine))
    if not package.manifest and package.checkpoint is None:
        print("no partway.json in this folder: networks are only loaded, there is nothing to compare them with")
    failed = 0
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<34}  {check.detail}", flush=True)
        failed += not check.passed
    if failed:
        print(f"{failed} checks failed; export or download the model again, or try another --engine or --device")
    return int(failed > 0)


def _other(name: str, package: Package) -> Engine | None:
    """An engine beside the one of this name, if another is installed."""
    others = {engine for engine, device, _ in devices() if device.upper() == "CPU"} - {name}
    return open_engine(min(others), package.networks, EngineOptions()) if others else None
