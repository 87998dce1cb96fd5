"""The command line: ``partway COMMAND ...``. One file a command: its arguments and what it runs."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

import partway
from partway.cli import bench, demo, devices, doctor, export, info, lists, make, plan, sweep, tune
from partway.cli.arguments import Parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (a check failed), 2 (bad input), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names and prompts may hold what it cannot encode
    try:
        if arguments[:1] == ["export"]:  # has a parser of its own, in a package that may not be installed
            return export.forward(argparse.Namespace(arguments=arguments[1:]))
        options = _parser().parse_args(arguments)
        return int(options.command(options))
    except KeyboardInterrupt:
        print("\npartway: interrupted", file=sys.stderr)
        return 130
    except partway.PartwayError as problem:
        return _fail(str(problem))
    except MemoryError:
        return _fail("out of memory; use a smaller picture, --batch 1 or a model of lower precision")
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as problem:
        return _fail(f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem))


def _fail(message: str) -> int:
    print(f"partway: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="partway",
        description="Stable Diffusion image-to-image without PyTorch; strength is the dial.",
        epilog="partway COMMAND --help tells more about each command.",
    )
    parser.add_argument("--version", action="version", version=f"partway {partway.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (demo, make, sweep, plan, info, devices, doctor, bench, tune, lists, export):
        module.add(commands)
    return parser
