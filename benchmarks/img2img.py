"""Image-to-image, measured: every configuration in its own process, taking turns.

    python -m benchmarks.img2img --work DIR [--peers]

builds and exports the model if DIR lacks it, with ``--peers`` installs every peer into an environment of its own,
appends one record a run to ``benchmarks/results/`` and renews the tables of ``benchmarks/README.md``.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import inputs, model, peers, plots, quality, records, tables
from benchmarks.cases import CASES, NAMED, REFERENCE, Case
from benchmarks.jobs import Job, Request
from benchmarks.peers import say
from partway.bench import processes as bench
from partway.errors import NetworkError
from partway.model.hub import DEFAULT
from partway_export.families import WEIGHTS

ALL = CASES | NAMED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 when a configuration failed."""
    args = _parser().parse_args(argv)
    args.work = args.work.resolve()  # children run from the repository's root
    args.results = args.results or records.RESULTS / f"{_result(args)}.jsonl"
    names = args.cases or [name for name, case in CASES.items() if args.peers or not case.peer]
    if args.package is not None:
        names = [name for name in names if not ALL[name].peer]
    names, failed = _installed(args.work, names)
    models = {name: inputs.folder(args, ALL[name]) for name in names}
    probe = inputs.probe(args.probe)
    common = records.session("img2img")
    for turn in range(args.repeats):
        for width, height in _sizes(args):
            pictures: dict[str, Path] = {}
            for name in names:
                measured = _measure(args, name, models[name], turn, width, height)
                if measured is None:
                    failed += 1
                    continue
                pictures[name] = out = _out(args.work, name)
                reference = pictures.get(REFERENCE) if ALL[name].same_noise else None
                measured["picture"] = quality.compare(*_files(out, reference, "picture"), probe)
                for index, again in enumerate(measured["again"]):
                    again["picture"] = quality.compare(*_files(out, reference, f"again-{index}"), probe)
                records.append(args.results, common | measured)
                say(f"{name}, {width}x{height}, turn {turn + 1}: {measured['warm']['seconds']['total']:.2f} s")
    if args.tables:
        plots.renew()
        tables.renew()
    return 1 if failed else 0


def _measure(
    args: argparse.Namespace, name: str, folder: Path, turn: int, width: int, height: int
) -> dict[str, Any] | None:
    """One record of a case, what it was asked included; None, having said why, when it failed."""
    case = ALL[name]
    images = inputs.sources(args, width, height)
    job = Job(
        tool=case.tool,
        model=str(folder),
        options=dict(case.options),
        settings=dict(case.settings),
        width=width,
        height=height,
        steps=args.steps,
        strength=args.strength,
        guidance_scale=args.guidance_scale,
        sampler=args.sampler,
        threads=args.threads,
        noise=inputs.noise(args.work, width, height),
    )
    first, warm = zip(images, bench.PROMPTS, strict=True)
    fewest = math.ceil(1 / args.strength)  # one network call; peers refuse a strength that rounds down to none
    requests: dict[str, Any] = {
        "first": Request(*first, args.steps if turn < args.cold else fewest, args.strength),
        "warm": Request(*warm, args.steps, args.strength),
        # They take several times as long as the rest and their figures lie on a line: one turn is enough.
        "again": [Request(*warm, args.steps, strength) for strength in args.strengths if turn == 0],
    }
    before = records.Processor.now()
    measured = run(job, requests, _out(args.work, name), _python(args.work, case))
    others = before.others(records.Processor.now())
    if measured is None:
        return None
    settings = {key: value for key, value in asdict(job).items() if key not in _NOT_SETTINGS}
    about = {"tool": case.tool, "case": name, "options": job.options, "turn": turn, "others_busy": others}
    about["model"] = inputs.described(args, case, folder)
    if case.peer:
        about["environment_bytes"] = inputs.bytes_on_disk(args.work / "venvs" / case.tool)
    return about | {"settings": settings | ({"more": job.settings} if job.settings else {})} | measured


_NOT_SETTINGS = ("tool", "model", "options", "settings", "noise")


def run(job: Any, requests: dict[str, Any], out: Path, python: str = sys.executable) -> dict[str, Any] | None:
    """Run a job in a process of its own and return its record, or None, having said why, when it failed."""
    command = [python, "-m", "benchmarks.child"]
    environment = inputs.environment() if python == sys.executable else inputs.environment(ours=False)
    try:
        return bench.spawn(command, job, requests, out, cwd=records.HERE.parent, environment=environment)
    except NetworkError as problem:
        say(f"{out.name} failed: {problem}")
        return None


def _installed(work: Path, names: list[str]) -> tuple[list[str], int]:
    """Those cases whose tools are there, peers' environments being made now, and the number of the others."""
    tools = {ALL[name].tool for name in names if ALL[name].peer}
    if "openvino_genai" in tools:
        tools.add("optimum_intel")  # makes its models
    there = {tool for tool in sorted(tools) if peers.install(work, tool)} | {"partway"}
    if "optimum_intel" not in there:
        there.discard("openvino_genai")
    kept = [name for name in names if ALL[name].tool in there]
    return kept, len(names) - len(kept)


def _python(work: Path, case: Case) -> str:
    return str(peers.python_of(work, case.tool)) if case.peer else sys.executable


def _result(args: argparse.Namespace) -> str:
    return args.package or ("sizes" if args.sizes else "peers" if args.peers else "img2img")


def _sizes(args: argparse.Namespace) -> list[tuple[int, int]]:
    """Width and height of each picture."""
    return [(size, size) for size in args.sizes] or [(args.width, args.height)]


def _out(work: Path, name: str) -> Path:
    return work / "runs" / name.replace(" ", "-").replace(",", "")


def _files(out: Path, reference: Path | None, name: str) -> tuple[Path, Path | None]:
    """A picture and the reference's of the same request, where there is one."""
    other = None if reference is None else reference / f"{name}.png"
    return out / f"{name}.png", other if other is not None and other.exists() else None


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.img2img", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for models, environments and the runs' files")
    parser.add_argument("--peers", action="store_true", help="also run every peer, installing it where needed")
    parser.add_argument("--size", choices=model.SIZES, default="sd15", help="default: sd15")
    parser.add_argument("--source", type=Path, help="a diffusers folder to measure instead")
    parser.add_argument("--package", choices=(DEFAULT,), help="the model that comes with partway instead; no peers")
    parser.add_argument("--to", choices=("onnx", "openvino"), default="onnx", help="default: onnx, for both engines")
    parser.add_argument("--weights", choices=WEIGHTS, default="fp32", help="default: fp32")
    parser.add_argument("--cases", nargs="+", choices=list(ALL), help="default: all of partway's, or all with --peers")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--sizes", nargs="+", type=int, default=[], help="several square sizes instead, in pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument(
        "--strengths", type=_numbers, default=[], help="in the first turn the warm picture also at these, as 0.1,0.3"
    )
    parser.add_argument("--guidance-scale", type=float, default=7.5)
    parser.add_argument("--sampler", default="ddim", help="default: ddim, one network call a step and known to all")
    parser.add_argument("--threads", type=int, default=records.cores(), help="default: one a core")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each configuration; default: 3")
    parser.add_argument(
        "--cold", type=int, default=0, help="in how many the first picture has all its steps; default: 0"
    )
    parser.add_argument(
        "--probe", action="store_true", help="also compare what the probe of models/rooms reads in pictures"
    )
    parser.add_argument("--results", type=Path, help="default: img2img.jsonl, peers.jsonl or sizes.jsonl in results/")
    parser.add_argument("--no-tables", dest="tables", action="store_false", help="leave tables and plots as they are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
