"""``partway doctor``: is this model folder whole, and does it compute what it should on this machine?"""

import argparse
from itertools import chain

from partway.cli.arguments import Commands, add_engine, supplied
from partway.engines import EngineOptions, open_engine
from partway.model.doctor import check_files, check_networks
from partway.model.hub import locate
from partway.model.package import open_package


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="check a model folder's files and results on this machine", description=__doc__
    )
    parser.add_argument("model", metavar="FOLDER", help="a model folder, or a Hub id (owner/name)")
    add_engine(parser)
    parser.add_argument("--precision", default=argparse.SUPPRESS, help="arithmetic: fp32, bf16, fp16, or fastest")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print one line a check; return 1 if one failed."""
    package = open_package(locate(options.model))
    engine = open_engine(
        getattr(options, "engine", "auto"),
        package.networks,
        EngineOptions(**supplied(options, ("device", "precision"))),
    )
    if not package.manifest:
        print("no partway.json in this folder: networks are only loaded, there is nothing to compare them with")
    failed = 0
    for check in chain(check_files(package), check_networks(package, engine)):
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<34}  {check.detail}", flush=True)
        failed += not check.passed
    if failed:
        print(f"{failed} checks failed; export or download the model again, or try another --engine or --device")
    return int(failed > 0)
