"""``partway devices``: what networks can run on here."""

import argparse

import partway
from partway.cli.arguments import Commands
from partway.errors import EngineError, install


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("devices", help="the engines and devices of this machine", description=__doc__)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print one line for each engine and device."""
    found = partway.devices()
    if not found:
        raise EngineError(f"no engine is installed; run: pip install onnxruntime; for OpenVINO, {install('openvino')}")
    for engine, device, description in found:
        print(f"{engine:<12} {device:<8} {description}")
    return 0
