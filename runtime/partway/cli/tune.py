"""``partway tune``: find what runs a model fastest on this machine; presets take it, and ``plan`` tells its seconds."""

import argparse
import json
from dataclasses import asdict

from partway.bench.tuning import CALLS, SAME, Trial, Tuning
from partway.budget import tuned
from partway.budget.planner import Planner
from partway.budget.presets import PRESETS
from partway.cli.arguments import Commands
from partway.cli.bench import WIDTH, add_model, add_size_and_place, chosen_of, job_of
from partway.engines import EngineOptions, engine_named
from partway.errors import NetworkError
from partway.model.opening import open_model
from partway.model.package import Package
from partway.run import starts
from partway.run.plans import Plan
from partway.support.amounts import shown_time

_HEAD = ("UNet call", "encode", "decode", "picture", "memory", "dB")
_WIDTH = WIDTH + 10  # of a name that may end in an option


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("tune", help="find what runs a model fastest on this machine", description=__doc__)
    add_model(parser)
    add_size_and_place(parser, parser.add_argument_group("what to make"))
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print one line a configuration as it is tried, then which is best and why, and keep what was found."""
    package = open_model(options.model)
    settings = package.settings({"vae": "own", "reuse": 0.0})
    plan = Planner().planned(package, settings, starts.imagined(True, package)).plan
    job = job_of(options, package, settings, plan)
    configurations = chosen_of(options, package)
    file = tuned.writable(package)  # before anything slow
    tuning = Tuning(package, job, settings)
    if not options.json:
        print(
            f"{options.model}: {job.width}x{job.height}, {CALLS} UNet calls each, guidance {job.guidance_scale:g}; "
            f"picture: {_picture(plan)}, about; seconds, GB, and dB to the picture of fp32"
        )
        print(f"{'':<{_WIDTH}} " + " ".join(f"{name:>9}" for name in _HEAD))
    for trial in tuning.trials(configurations):
        print(json.dumps(asdict(trial)) if options.json else f"{trial.name:<{_WIDTH}} {_row(trial, plan)}", flush=True)
    found = tuning.found()
    if not found:
        raise NetworkError(f"{options.model} runs on nothing here, so there is nothing to keep")
    tuned.keep(package, tuning.measured())
    because = _because(found, plan, package)
    print(json.dumps({"best": found[0].name, "because": because, "file": str(file)}) if options.json else because)
    if not options.json:
        names = [name for name, preset in PRESETS.items() if preset.guess]
        print(f"the presets {', '.join(names[:-1])} and {names[-1]} take it from now on; kept in {file}")
    return 0


def _picture(plan: Plan) -> str:
    return f"{plan.steps} steps at strength {plan.strength:g}"


def _row(trial: Trial, plan: Plan) -> str:
    """Seconds of a UNet call, of the VAE's and of a picture; GB; and dB."""
    if trial.failed:
        return f"failed: {trial.failed}"
    each, predictions = trial.measured.seconds, plan.predictions if plan.guided_calls else 1
    figures = [predictions * each["unet"], *(each[name] for name in plan.vae), trial.seconds]
    peak = "-" if trial.peak_bytes is None else f"{trial.peak_bytes / 1e9:.3f}"
    decibels = "-" if trial.measured.decibels is None else f"{trial.measured.decibels:.1f}"
    return " ".join([*(f"{figure:>9.3f}" for figure in figures), f"{peak:>9}", f"{decibels:>9}"])


def _because(found: list[Trial], plan: Plan, package: Package) -> str:
    """Which is best, by how much, and what its precision costs."""
    best, *others = found
    text = f"{best.name} is the fastest: about {shown_time(best.seconds)} for {_picture(plan)}"
    usual = engine_named("auto", package.networks, "CPU")
    plain = [one for one in others if one.measured.suits(usual, EngineOptions())]
    for other, what in ((others[:1], "the next"), (plain, "what runs without a preset")):
        text += "".join(f", {one.seconds / best.seconds:.2f} times as fast as {one.name} ({what})" for one in other)
    lost = best.measured.decibels
    if lost is not None and lost < SAME:
        text += f"; its picture is {lost:.1f} dB from that of fp32"
    return text
