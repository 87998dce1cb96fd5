"""``partway bench``: how long a model's pictures take on this machine, on each engine, device and precision it has."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from partway.bench import processes
from partway.bench.measuring import Job
from partway.budget.planner import Planner
from partway.cli.arguments import Commands, add_engine, supplied
from partway.engines import EngineOptions
from partway.errors import MAX_SIDE, EngineError, InputError, PartwayError, install, number
from partway.model.opening import open_model
from partway.model.package import Package
from partway.run import starts
from partway.run.plans import Plan
from partway.settings import Settings

_SETTINGS = ("steps", "strength", "guidance_scale", "sampler")
_CHOICES = ("engine", "device", "precision")
WIDTH = 28  # of a configuration's name
_HEAD = ("cold", "warm", "UNet call")
_STAGES = {
    "text": ("text_encoder", "text_encoder_2"),
    "encode": ("vae_encoder",),
    "decode": ("vae_decoder",),
    "other": ("other",),
}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("bench", help="how long a model's pictures take on this machine", description=__doc__)
    add_model(parser)
    what = parser.add_argument_group("what to make")
    default = Settings()
    for name, type_, text in (
        ("strength", float, f"0 to 1 (default {default.strength})"),
        ("steps", int, f"of the whole schedule (default {default.steps})"),
        ("guidance_scale", float, f"above 1 doubles the work (default {default.guidance_scale})"),
        ("sampler", str, "see: partway samplers; the model's own if not given"),
    ):
        flag = "--" + name.replace("_", "-")
        metavar = "NAME" if type_ is str else "N"
        what.add_argument(flag, type=type_, metavar=metavar, default=argparse.SUPPRESS, help=text)
    add_size_and_place(parser, what)
    parser.set_defaults(command=run)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model that is measured."""
    parser.add_argument("model", metavar="MODEL", help="a folder, a Hub id (owner/name), or one of: partway models")


def add_size_and_place(parser: argparse.ArgumentParser, what: Any) -> None:
    """Add the picture's size to the group ``what``, and to the parser what to run on, and --json."""
    for name in ("width", "height"):
        text = "pixels (default: what the model was trained for)"
        what.add_argument(f"--{name}", type=int, metavar="N", default=argparse.SUPPRESS, help=text)
    where = parser.add_argument_group("what to run it on: all there is, or only")
    add_engine(where)
    where.add_argument("--precision", metavar="NAME", default=argparse.SUPPRESS, help="fp32, bf16 or fp16")
    where.add_argument("--threads", type=int, metavar="N", help="processor threads (default: the engine's choice)")
    parser.add_argument("--json", action="store_true", help="print one JSON line a configuration")


def run(options: argparse.Namespace) -> int:
    """Print one line a configuration as it is measured; return 1 if one failed."""
    package = open_model(options.model)
    settings = package.settings(supplied(options, _SETTINGS))
    plan = Planner().planned(package, settings, starts.imagined(True, package)).plan
    job = job_of(options, package, settings, plan)
    chosen = chosen_of(options, package)
    if not options.json:
        print(
            f"{options.model}: {job.width}x{job.height}, {job.steps} steps of {job.sampler}, strength {job.strength:g} "
            f"({plan.calls['unet']} UNet calls), guidance {job.guidance_scale:g}; seconds, and GB of memory at most"
        )
        names = (*_HEAD, *_STAGES, "memory")
        print(f"{'':<{WIDTH}} " + " ".join(f"{name:>9}" for name in names))
    failed = False
    for name, load in chosen.items():
        described = {"configuration": name, "options": load}
        try:
            with tempfile.TemporaryDirectory(prefix="partway-bench-") as folder:
                record = processes.run(Job(**vars(job) | {"options": load}), Path(folder))
        except PartwayError as problem:
            failed, record = True, {"failed": str(problem)}
        line = json.dumps(described | _about(job) | record) if options.json else f"{name:<{WIDTH}} {_row(record)}"
        print(line, flush=True)
    return int(failed)


def job_of(options: argparse.Namespace, package: Package, settings: Settings, plan: Plan) -> Job:
    """The job of measuring this run in the size and with the threads asked for; InputError where there is none."""
    EngineOptions(threads=options.threads)  # checked here, once
    if package.guidance == "instruction":
        raise InputError("models that follow instructions are not measured; give one that takes a strength")
    if not plan.calls.get("unet"):
        raise InputError(f"strength {settings.strength:g} returns the picture as it is; give one above 0 to measure")
    width, height = (
        int(number(name, getattr(options, name, own), package.multiple, MAX_SIDE))
        for name, own in zip(("width", "height"), package.size, strict=True)
    )
    return Job(
        tool="partway",
        model=str(options.model),
        width=width,
        height=height,
        steps=settings.steps,
        strength=settings.strength,
        guidance_scale=settings.guidance_scale,
        sampler=plan.sampler,
        threads=options.threads,
    )


def chosen_of(options: argparse.Namespace, package: Package) -> dict[str, dict[str, Any]]:
    """The configurations that fit what was asked for; EngineError if none does."""
    wanted: dict[str, str] = supplied(options, _CHOICES)
    found = processes.configurations(package)
    chosen = {
        name: load
        for name, load in found.items()
        if all(load.get(key, "fp32").lower() == value.lower() for key, value in wanted.items())
    }
    if not chosen:
        there = ", ".join(found) or f"nothing; for an engine, {install('openvino')}"
        raise EngineError(
            f"this model cannot run here on {' '.join(wanted.values()) or 'any engine'}; it can on: {there}"
        )
    return chosen


def _about(job: Job) -> dict[str, Any]:
    return {key: value for key, value in vars(job).items() if key not in ("tool", "options", "settings", "noise")}


def _row(record: dict[str, Any]) -> str:
    """Seconds of the first picture from the start of its process, of the warm one and of its stages; GB."""
    if "failed" in record:
        return f"failed: {record['failed']}"
    seconds, calls = record["warm"]["seconds"], record["warm"]["calls"]
    figures = [record["cold_seconds"], seconds["total"], seconds["unet"] / calls["unet"]]
    figures += [sum(seconds.get(name, 0.0) for name in names) for names in _STAGES.values()]
    peak = "-" if record["peak_bytes"] is None else f"{record['peak_bytes'] / 1e9:.3f}"
    return " ".join([*(f"{figure:>9.3f}" for figure in figures), f"{peak:>9}"])
