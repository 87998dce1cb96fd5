"""``partway batch``: restyle a folder of pictures, those of a pattern or a list; what is done is left as it is."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event

import partway
from partway.batch import fleet, local, plans, report
from partway.batch.jobs import Job, check_apart, placed, swept
from partway.batch.lists import is_list
from partway.batch.making import FAILED, Fate, Maker
from partway.batch.watching import arrivals
from partway.cli.arguments import Commands, add_mask, add_model, add_quiet, add_settings
from partway.cli.messages import libraries_unheard, say
from partway.cli.progress import counted, did
from partway.cli.request import load
from partway.cli.sweep import strengths_of
from partway.cli.wishes import Wished, wished
from partway.errors import InputError, choose
from partway.pictures.metadata import FORMATS
from partway.support.amounts import shown, shown_time
from partway.support.files import check_folder, remove_leftovers


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("batch", help="restyle a folder of pictures, or a list", description=__doc__)
    text = "a folder, a pattern in quotes like 'photos/*.jpg', or a list: .csv with a head, .jsonl"
    parser.add_argument("pictures", metavar="PICTURES", help=text)
    text = "what all pictures should show, in quotes; a list can say it for each"
    parser.add_argument("prompt", metavar="PROMPT", nargs="?", help=text)
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder for the results")
    endings = ", ".join(suffix.removeprefix(".") for suffix in FORMATS)
    parser.add_argument("--format", metavar="NAME", default="png", help=f"{endings} (default: %(default)s)")
    text = "where each picture's mask is, as in masks/{stem}.png from its own folder on"
    parser.add_argument("--masks", metavar="RULE", help=text)
    parser.add_argument("--strengths", metavar="S,S,...", help="each picture at several strengths")
    text = "the settings inside a picture partway made; flags given here win"
    parser.add_argument("--from-png", metavar="FILE", help=text)
    _add_running(parser)
    add_quiet(parser)
    add_settings(parser)
    add_mask(parser)
    add_model(parser)
    parser.set_defaults(command=run)


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to run it")
    group.add_argument("--dry-run", action="store_true", help="print what would run, its seconds and its memory")
    group.add_argument("--fail-fast", action="store_true", help="end with the first picture that fails")
    group.add_argument("--watch", action="store_true", help="go on with what arrives, until interrupted")
    text = "pictures at the same time (default: as many as processors and memory have room for)"
    group.add_argument("--at-once", type=int, metavar="N", default=None, help=text)
    text = "run on a Ray cluster: --ray=ADDRESS, --ray=auto for the one that runs here, or --ray for a new one here"
    group.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", default=None, help=text)


def run(options: argparse.Namespace) -> int:
    """Make what is not done yet, and say what became of each."""
    everything = wished(options)
    _check(options)
    jobs = _jobs(options, everything)
    if options.dry_run:
        return _tell(options, everything, jobs)
    check_folder(options.output)
    remove_leftovers(options.output)
    fates, begun = [], time.perf_counter()
    failed: list[Fate] = []
    try:
        with libraries_unheard():
            for fate in counted(_fates(options, everything, jobs), total=_total(options, jobs), quiet=options.quiet):
                fates.append(fate)
                if fate.state == FAILED:
                    failed.append(fate)
                    say("error" if options.fail_fast else "warning", f"{fate.picture}: {fate.problem}")
                if failed and options.fail_fast:
                    break
    finally:
        path = report.write(fates, options.output)
    print(f"{path}  {report.summary(fates, time.perf_counter() - begun)}")
    return 1 if failed else 0


def _check(options: argparse.Namespace) -> None:
    """Raise `InputError` for what does not go together."""
    choose("picture format", f".{options.format}", FORMATS)
    if options.watch and is_list(options.pictures):
        raise InputError("--watch goes on with a folder or a pattern, and this is a list")
    if options.watch and options.ray is not None:
        raise InputError("--watch is for this machine; leave out --ray")


def _jobs(options: argparse.Namespace, everything: Wished) -> list[Job]:
    """All that is there to be made."""
    jobs = placed(everything.jobs(), f".{options.format}")
    if options.strengths is not None:
        strengths = strengths_of(options.strengths)
        for strength in strengths:
            partway.Settings(strength=strength)
        jobs = swept(jobs, strengths)
    check_apart(jobs, options.output)
    return jobs


def _fates(options: argparse.Namespace, everything: Wished, jobs: list[Job]) -> Iterator[Fate]:
    """What becomes of all, here or on a cluster."""
    wanted = everything.wanted
    if options.ray is not None:
        folder, threads = Path.cwd(), wanted.load.get("threads", 1)
        crew = fleet.Crew(wanted.model, wanted.load, options.output, folder, threads, options.at_once)
        return fleet.fates(crew, jobs, options.ray or None)
    maker = Maker(load(wanted), options.output, Event())
    sized = plans.by_size(jobs)
    at_once = _at_once(options, maker.pipe, plans.groups(maker.pipe, sized[-1:]))
    if not options.watch:
        return local.fates(maker, (job for _, job in sized), at_once)
    return _watched(lambda: _jobs(options, everything), lambda some: local.fates(maker, some, at_once))


def _watched(look: Callable[[], list[Job]], make: Callable[[Iterable[Job]], Iterator[Fate]]) -> Iterator[Fate]:
    for jobs in arrivals(look):
        yield from make(job for _, job in plans.by_size(jobs))


def _at_once(options: argparse.Namespace, pipe: partway.Pipeline, largest: list[plans.Group]) -> int:
    """What was asked for, or else what processors and memory have room for."""
    if options.at_once is not None:
        return int(options.at_once)
    room = pipe.planner.options.at_once
    fit = plans.fitting(largest, room)
    if fit < room:
        say("note", f"memory has room for {fit} of {room} pictures at a time; --threads lets each use more processors")
    return fit


def _tell(options: argparse.Namespace, everything: Wished, jobs: list[Job]) -> int:
    """Print what would run."""
    maker = Maker(load(everything.wanted), options.output, Event())
    left = [job for job in jobs if not maker.done(job)]
    sized = plans.by_size(left)
    groups = plans.groups(maker.pipe, sized)
    at_once = _at_once(options, maker.pipe, sorted(groups, key=lambda group: group.peak)[-1:])
    for group in groups:
        print(f"{group.pictures} of {group.size[0]}x{group.size[1]}: {_described(group)}")
    print(f"{len(jobs)} pictures, of which {len(jobs) - len(left)} are done; {at_once} at a time")
    total = plans.seconds(groups, at_once)
    if total is None:
        print(f"time: partway tune {everything.wanted.model or 'rooms'} tells the seconds")
    elif total:
        print(f"time: about {shown_time(total)}")
    return 0


def _described(group: plans.Group) -> str:
    if group.plan is None:
        return group.problem
    each = "" if group.plan.seconds is None else f"; about {shown_time(group.plan.seconds)} each"
    peak = f"; {shown(group.peak)} of memory for one at a time" if group.peak else ""
    return f"{did(group.plan)}{each}{peak}"


def _total(options: argparse.Namespace, jobs: list[Job]) -> int | None:
    return None if options.watch else len(jobs)
