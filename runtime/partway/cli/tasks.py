"""A task from the command line to its files: one picture for each of --count seeds, and what it took."""

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import partway
from partway.cli.messages import libraries_unheard
from partway.cli.outputs import Outputs, inputs_of
from partway.cli.progress import did, finish, timing
from partway.cli.request import Request, load, request, warn_if_other_model, warn_if_other_source
from partway.diffusion.noise import check_seed
from partway.errors import InputError
from partway.pictures.holding import check_holds
from partway.pictures.images import Picture, read
from partway.pictures.metadata import NO_STRENGTH
from partway.records import described, record, source_hashes

Start = Callable[..., partway.Run]  # (prompt, **settings), which begins a run
Prepare = Callable[[partway.Pipeline, Picture, dict[str, Any]], Start]  # of pipeline, picture and the task's own flags


class Task(NamedTuple):
    """What was asked for, by which command, on which pipeline; the picture it starts from, if any, and its hashes."""

    name: str
    wanted: Request
    pipe: partway.Pipeline
    source: dict[str, str] | None = None
    picture: Picture | None = None


def run_from_picture(options: argparse.Namespace, name: str, prepare: Prepare) -> int:
    """Run a task that starts from INPUT, once for each of --count seeds; return the exit code."""
    wanted = request(options, name)
    outputs = Outputs(options.output, stem=options.input.stem, count=options.count, inputs=inputs_of(options))
    with libraries_unheard():
        picture = read(options.input)
    source = source_hashes(options.input, picture)
    warn_if_other_source(wanted.source, source)
    pipe = load(wanted)
    start = prepare(pipe, picture, dict(wanted.edit))
    return run_each(options, Task(name, wanted, pipe, source, picture), start, outputs)


def run_each(options: argparse.Namespace, task: Task, start: Start, outputs: Outputs) -> int:
    """Make, save and tell of one picture for each of --count seeds, each before the next; return the exit code."""
    if task.wanted.made_with:
        warn_if_other_model(task.wanted.made_with, described(task.pipe.package))
    for label, settings in _each(task.wanted, options.count):
        run = start(task.wanted.prompt, **settings)
        texts = (task.wanted.prompt, run.settings.negative_prompt, *task.wanted.edit.get("then", ()))
        check_holds(outputs.suffix, run.size, picture=task.picture, untouched=not run.plan.levels, texts=texts)
        result = finish(run, label=label, quiet=options.quiet)
        made = record(result, task.wanted, task.pipe.package, task=task.name, source=task.source)
        path = outputs.save(result.image, made)
        print(f"{path}  {result.image.width}x{result.image.height}, seed {result.seeds[0]}")
        if not options.quiet:
            _tell(result, strength=task.name not in NO_STRENGTH)
    return 0


def _each(wanted: Request, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a label and settings for each picture."""
    if count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    seed = wanted.settings.get("seed", partway.Settings.seed)
    check_seed(seed + count - 1)  # before the first is made
    for number in range(count):
        label = f"{number + 1}/{count}" if count > 1 else ""
        yield label, wanted.settings | {"seed": seed + number}


def _tell(result: partway.Result, *, strength: bool) -> None:
    print(f"{did(result.plan, strength=strength)}; {timing(result.seconds)}")
    for drift in result.drift:
        matched = f", {drift.before:.1f} before --colour-match" if drift.after != drift.before else ""
        print(f"mean colour {drift.after:.1f} of 255 from the source's{matched}")
