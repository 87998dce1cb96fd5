"""The command line: ``partway COMMAND ...``. A file a command, of its name: its arguments and what it runs.

It may import everything. What commands share is in ``arguments`` (the parser), ``controls`` (its flags for pictures
that guide), ``embeddings``, ``request`` (from flags and replayed pictures to what to run), ``wishes`` (the same for
each picture of a batch), ``tasks`` (from that to files), ``outputs``, ``progress``, ``messages`` and ``summaries``.
Start reading at `main`, then at a command, such as ``img2img``.
"""

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import partway
from partway.cli.arguments import Parser
from partway.cli.messages import say, warnings_said
from partway.errors import EngineError, NetworkError, choose

COMMANDS = (
    "demo", "img2img", "instruct", "inpaint", "outpaint", "upscale", "txt2img", "sweep", "batch", "serve", "plan",
    "info", "devices", "doctor", "bench", "tune", "samplers", "schedules", "dials", "presets", "models", "export",
)  # fmt: skip
"""Every command, a module of its name here, in the order of ``partway --help``; only the one that runs is imported."""

_FULL = (errno.ENOSPC, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))  # a disk that is full, broken or rationed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (a run or a check failed), 2 (bad input), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names and prompts may hold what it cannot encode
    try:
        with warnings_said():
            return _run(arguments)
    except KeyboardInterrupt:
        print("\npartway: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (partway.PartwayError, MemoryError, OSError) as problem:
        say("error", _message(problem))
        return exit_code(problem)


def exit_code(problem: Exception) -> int:
    """2 where what was asked for cannot be: an argument, a picture, a model, an engine. 1 where a run failed.

    A run fails in a network, or because memory, the disk or an engine's library gives out under it.
    """
    cause = problem.__cause__
    if isinstance(problem, NetworkError) or not isinstance(problem, partway.PartwayError):
        return 1
    if isinstance(cause, OSError):
        return 1 if cause.errno in _FULL else 2
    broke = isinstance(cause, RuntimeError) and isinstance(problem, EngineError)
    return 1 if broke or isinstance(cause, MemoryError) else 2


def _run(arguments: list[str]) -> int:
    if not arguments:
        _parser(COMMANDS).print_help()
        return 0
    if not arguments[0].startswith("-"):
        choose("command", arguments[0], COMMANDS)
    if arguments[0] == "export":  # has a parser of its own, in a package that may not be installed
        from partway.cli import export

        return export.forward(argparse.Namespace(arguments=arguments[1:]))
    options = _parser(arguments[:1] if arguments[0] in COMMANDS else COMMANDS).parse_args(arguments)
    return int(options.command(options))


def _message(problem: Exception) -> str:
    if isinstance(problem, MemoryError):
        return "out of memory; use a smaller picture, --batch 1 or a model of lower precision"
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    return str(problem)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of these commands."""
    parser = Parser(
        prog="partway",
        description="Stable Diffusion image-to-image without PyTorch; strength is the dial.",
        epilog="partway COMMAND --help tells more about each command. Exit codes: 0 it is done; 1 a run or a check "
        "failed, in a network or for want of memory or disk; 2 what was asked for cannot be, an argument, a picture, "
        "a model or an engine; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"partway {partway.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        import_module(f"partway.cli.{name}").add(commands)
    return parser
