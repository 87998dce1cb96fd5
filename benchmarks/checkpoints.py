"""A model's file as it is, beside its exports and other tools, from the start of a process to a finished picture.

    python -m benchmarks.checkpoints make --work DIR [--size sdxl]       writes the file, of random weights
    python -m benchmarks.checkpoints export --work DIR [--to openvino]   its packages; how long each takes
    python -m benchmarks.checkpoints pictures --work DIR [--cases NAME ...]
    python -m benchmarks.checkpoints calls --work DIR [--engines NAME ...]
    python -m benchmarks.checkpoints levels --work DIR

Each appends records to ``results/checkpoints.jsonl``; ``--turns N`` alternates N times. ``python -m benchmarks.tables``
makes tables of all records of the newest commit, so that a session may be run in pieces. Other tools run in the
environments of ``python -m benchmarks.peers --work DIR`` where they are there, else in this one.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import inputs, peers, random_files, records
from benchmarks.jobs import Job, Request
from benchmarks.peers import say
from partway.bench import processes as bench
from partway.errors import NetworkError

RESULTS = records.RESULTS / "checkpoints.jsonl"
FILE, GENAI = "file", "genai"
FORMATS = ("onnx", "openvino")


class Case(NamedTuple):
    """A tool, what it runs (`FILE`, a format of `FORMATS`, or `GENAI` for openvino.genai's copy), and how."""

    tool: str
    model: str
    options: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}


_FRUGAL = {"release": True, "batch": 1}

CASES = {
    "partway, file, onnxruntime": Case("partway", FILE, {"engine": "onnxruntime"}),
    "partway, file, openvino": Case("partway", FILE, {"engine": "openvino"}),
    "partway, ONNX fp16, onnxruntime": Case("partway", "onnx", {"engine": "onnxruntime"}),
    "partway, IR fp16, openvino": Case("partway", "openvino", {"engine": "openvino"}),
    "partway, file, balanced": Case("partway", FILE, {"engine": "openvino", "preset": "balanced"}),
    "partway, file, openvino, released": Case("partway", FILE, {"engine": "openvino", "release": True}),
    "partway, file, onnxruntime, 1.3 GB": Case("partway", FILE, {"engine": "onnxruntime", "memory_limit": "1300MB"}),
    "partway, file, openvino, 1.3 GB": Case("partway", FILE, {"engine": "openvino", "memory_limit": "1300MB"}),
    "partway, IR fp16, openvino, released": Case("partway", "openvino", {"engine": "openvino", "release": True}),
    "partway, IR fp16, exact, released": Case("partway", "openvino", {"preset": "exact", "release": True}),
    "partway, file, onnxruntime, streamed": Case("partway", FILE, {"engine": "onnxruntime", "stream": True, **_FRUGAL}),
    "partway, file, openvino, streamed": Case("partway", FILE, {"engine": "openvino", "stream": True, **_FRUGAL}),
    "diffusers fp32": Case("diffusers_torch", FILE, {"dtype": "float32"}),
    "diffusers bf16": Case("diffusers_torch", FILE, {"dtype": "bfloat16"}),
    "stable-diffusion.cpp": Case("stable_diffusion_cpp", FILE),
    "openvino.genai fp32": Case("openvino_genai", GENAI, {"precision": "f32"}),
}
_RELEASED = ("released", "streamed", "bf16", "genai")
"""Parts of the names of cases that SDXL's size is measured in: others need more than 20 GB."""

LEVELS = {
    "basic": ("ORT_ENABLE_BASIC", "0"),
    "extended": ("ORT_ENABLE_EXTENDED", "0"),
    "extended, no packing": ("ORT_ENABLE_EXTENDED", "1"),
    "layout": ("ORT_ENABLE_LAYOUT", "0"),
    "all": ("ORT_ENABLE_ALL", "0"),
    "all, no packing": ("ORT_ENABLE_ALL", "1"),
}
"""ONNX Runtime's optimisation level, and whether weights are not packed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 when a case failed."""
    args = _parser().parse_args(argv)
    args.work = args.work.resolve()
    if args.size == "sdxl":
        args.side, args.steps = args.side or 1024, args.steps or 2
    args.side, args.steps = args.side or 512, args.steps or 8
    return {"make": _make, "export": _export, "pictures": _pictures, "calls": _calls, "levels": _levels}[args.what](
        args
    )


def _make(args: argparse.Namespace) -> int:
    path = _file(args)
    if not path.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        random_files.write(partial, random_files.SIZES[args.size])
        partial.rename(path)
    say(f"{path}: {path.stat().st_size / 1e9:.2f} GB")
    return 0


def _export(args: argparse.Namespace) -> int:
    _make(args)
    for to in args.to:
        out = _package(args, to)
        if out.exists():
            say(f"{out} is there")
            continue
        measured = _child(args, "export", {"source": str(_file(args)), "out": str(out), "to": to})
        _append(args, {"what": "export", "case": f"{to} fp16"} | measured)
    return 0


def _pictures(args: argparse.Namespace) -> int:
    _make(args)
    failed, common = 0, records.session("checkpoints")
    names = args.cases or [name for name in CASES if args.size != "sdxl" or any(part in name for part in _RELEASED)]
    for turn in range(args.turns):
        for name in names:
            record = _picture(args, name)
            if record is None:
                failed += 1
                continue
            records.append(args.results, common | {"what": "picture", "case": name, "turn": turn} | record)
            peak = record["peak_bytes"] / 1e9
            say(f"{name}: {record['cold_seconds']:.1f} s from start to picture, peak {peak:.2f} GB")
    return int(failed > 0)


def _picture(args: argparse.Namespace, name: str) -> dict[str, Any] | None:
    """One process from its start to a picture; None, having said why, where it failed."""
    case = CASES[name]
    where, python = _model(args, case), _python(args, case.tool)
    if where is None or python is None:
        say(f"{name}: {case.tool if python is None else case.model} is not there")
        return None
    options = dict(case.options)
    if case.tool == "diffusers_torch":
        options |= {"config": str(random_files.configs(_file(args))), "xl": args.size.endswith("xl")}
    job = Job(
        tool=case.tool, model=str(where), options=options, settings=dict(case.settings), width=args.side,
        height=args.side, steps=args.steps, strength=0.5, guidance_scale=args.guidance, sampler="ddim",
        threads=args.threads, noise=inputs.noise(args.work, args.side, args.side),
    )  # fmt: skip
    picture = bench.sources(args.work, args.side, args.side)[0]
    requests = {"first": Request(picture, bench.PROMPTS[0], args.steps, 0.5)}
    environment = inputs.environment(ours=python == sys.executable)
    before = records.Processor.now()
    try:
        command = [python, "-m", "benchmarks.child"]
        out = args.work / "pictures" / name.replace(", ", "-").replace(" ", "-")
        found = bench.spawn(command, job, requests, out, cwd=records.HERE.parent, environment=environment)
    except NetworkError as error:
        say(f"{name} failed: {error}")
        return None
    settings = {key: asdict(job)[key] for key in ("width", "height", "steps", "strength", "guidance_scale", "threads")}
    others = before.others(records.Processor.now())
    return found | {"size": args.size, "settings": settings, "others_busy": others}


def _calls(args: argparse.Namespace) -> int:
    """The UNet of the file and that of its export take turns in one process."""
    for engine in args.engines:
        to = "onnx" if engine == "onnxruntime" else "openvino"
        work = {"file": str(_file(args)), "package": str(_package(args, to)), "engine": engine}
        _append(args, {"what": "calls", "case": engine} | _child(args, "calls", work))
    return 0


def _levels(args: argparse.Namespace) -> int:
    for turn in range(args.turns):
        for name in args.cases or LEVELS:
            measured = _child(args, "level", {"file": str(_file(args)), "level": LEVELS[name]})
            _append(args, {"what": "level", "case": name, "turn": turn} | measured)
    return 0


def _child(args: argparse.Namespace, what: str, work: dict[str, Any]) -> dict[str, Any]:
    """What a function of `benchmarks.checkpoint_work` found in a process of its own, and how busy others were."""
    told = {"side": args.side, "threads": args.threads, "rounds": args.rounds} | work
    command = [sys.executable, "-m", "benchmarks.checkpoint_work", what, json.dumps(told)]
    before, begun = records.Processor.now(), time.perf_counter()
    environment = inputs.environment()
    done = subprocess.run(command, cwd=records.HERE.parent, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{what} failed")
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    seconds = time.perf_counter() - begun
    return found | {"process_seconds": seconds, "others_busy": before.others(records.Processor.now())}


def _append(args: argparse.Namespace, record: dict[str, Any]) -> None:
    records.append(args.results, records.session("checkpoints") | {"size": args.size} | record)
    say(json.dumps({key: value for key, value in record.items() if not isinstance(value, dict | list)}))


def _file(args: argparse.Namespace) -> Path:
    return Path(args.work / f"{args.size}.safetensors")


def _package(args: argparse.Namespace, to: str) -> Path:
    return Path(args.work / f"{args.size}-file-{to}-fp16")


def _model(args: argparse.Namespace, case: Case) -> Path | None:
    """What a case runs; None where that has not been made."""
    if case.model == FILE:
        return _file(args)
    package = _package(args, "openvino" if case.model == GENAI else case.model)
    if not package.exists():
        return None
    if case.model != GENAI:
        return package
    maker = peers.python_of(args.work, "optimum_intel")
    return peers.for_genai(args.work, package) if maker.exists() else None


def _python(args: argparse.Namespace, tool: str) -> str | None:
    """The interpreter that has a tool: its own environment's, or this one; None without either."""
    own = peers.python_of(args.work, tool)
    if tool != "partway" and own.exists():
        return str(own)
    module = {"diffusers_torch": "diffusers", "partway": "partway", "stable_diffusion_cpp": "stable_diffusion_cpp"}
    return sys.executable if find_spec(module.get(tool, tool)) else None


def _parser() -> argparse.ArgumentParser:
    head = (__doc__ or "").splitlines()[0]
    it = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints", description=head)
    it.add_argument("what", choices=("make", "export", "pictures", "calls", "levels"))
    it.add_argument("--work", type=Path, required=True, help="folder for models, several GB at full size")
    it.add_argument("--size", choices=list(random_files.SIZES), default="sd15")
    it.add_argument("--side", type=int, help="pixels; default: 512, for sdxl 1024")
    it.add_argument(
        "--steps", type=int, help="of the whole schedule, of which strength 0.5 runs half; default: 8, or 2"
    )
    it.add_argument("--guidance", type=float, default=7.5)
    it.add_argument("--threads", type=int, default=2)
    it.add_argument("--turns", type=int, default=1)
    it.add_argument("--rounds", type=int, default=4, help="calls of each kind, in calls and levels")
    it.add_argument("--cases", nargs="+", choices=[*CASES, *LEVELS], metavar="NAME", help="default: all")
    it.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    it.add_argument("--to", nargs="+", choices=FORMATS, default=list(FORMATS))
    it.add_argument("--results", type=Path, default=RESULTS)
    return it


if __name__ == "__main__":
    sys.exit(main())
