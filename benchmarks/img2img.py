"""Image-to-image, measured: every configuration in its own process, taking turns.

    python -m benchmarks.img2img --work DIR

builds and exports the model if DIR lacks it, appends one record a run to ``benchmarks/results/img2img.jsonl`` and
renews the tables of ``benchmarks/README.md``.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import model, records, tables
from benchmarks.jobs import Job

# name: (tool, the tool's options). The first one's pictures are what the others' are compared with.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "onnxruntime fp32": ("partway", {"engine": "onnxruntime"}),
    "openvino fp32": ("partway", {"engine": "openvino"}),
    "openvino fp32 static": ("partway", {"engine": "openvino", "static": True}),
    "openvino bf16": ("partway", {"engine": "openvino", "precision": "bf16"}),
    "openvino bf16 static": ("partway", {"engine": "openvino", "precision": "bf16", "static": True}),
}
PROMPTS = ("a quiet room with a blue sofa, morning light", "cozy scandinavian interior, warm light")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 when a configuration failed."""
    args = _parser().parse_args(argv)
    args.work = args.work.resolve()  # children run from the repository's root
    package = _package(args.work, args.size, args.to, args.weights)
    images = _sources(args.work, args.width, args.height)
    common = records.session("img2img") | {
        "model": {"size": args.size, "format": args.to, "weights": args.weights, "bytes": bytes_on_disk(package)}
    }
    failed = 0
    pictures: dict[str, Path] = {}
    for turn in range(args.repeats):
        for case in args.cases or CASES:
            tool, options = CASES[case]
            job = Job(
                tool=tool,
                model=str(package),
                options=options,
                width=args.width,
                height=args.height,
                steps=args.steps,
                strength=args.strength,
                guidance_scale=args.guidance_scale,
                sampler=args.sampler,
                threads=args.threads,
            )
            first = args.steps if turn < args.cold else 1
            requests = {"first": (images[0], PROMPTS[0], first), "warm": (images[1], PROMPTS[1], args.steps)}
            out = args.work / "runs" / case.replace(" ", "-")
            before = records.Processor.now()
            measured = run(job, requests, out)
            others = before.others(records.Processor.now())
            if measured is None:
                failed += 1
                continue
            pictures[case] = out / "picture.png"
            reference = pictures.get(next(iter(CASES)))
            measured["picture"] = _compare(pictures[case], reference)
            settings = {key: value for key, value in asdict(job).items() if key not in ("tool", "model", "options")}
            about = {"tool": tool, "case": case, "options": options, "settings": settings, "turn": turn}
            records.append(args.results, common | about | {"others_busy": others} | measured)
            _say(f"{case}, turn {turn + 1}: {measured['warm']['seconds']['total']:.2f} s")
    if args.tables:
        tables.renew()
    return 1 if failed else 0


def run(job: Job, requests: dict[str, tuple[str, str, int]], out: Path) -> Any:
    """Run a job in a process of its own and return its record, or None, having said why, when it failed."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "record.json").unlink(missing_ok=True)
    job_file = out / "job.json"
    job_file.write_text(json.dumps({"job": asdict(job), **requests, "started": time.time()}))
    command = [sys.executable, "-m", "benchmarks.child", str(job_file), str(out)]
    done = subprocess.run(command, cwd=records.HERE.parent, env=_environment(), capture_output=True, text=True)
    if done.returncode or not (out / "record.json").exists():
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        _say(f"{out.name} failed: {last}")
        return None
    return json.loads((out / "record.json").read_text())


def bytes_on_disk(folder: Path) -> int:
    """The size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _package(work: Path, size: str, to: str, weights: str) -> Path:
    """The package to measure; made in a process of its own, for torch's memory to be gone before anything is timed."""
    options = ["--work", str(work), "--size", size, "--to", to, "--weights", weights]
    command = [sys.executable, "-m", "benchmarks.model", *options]
    subprocess.run(command, cwd=records.HERE.parent, env=_environment(), check=True)
    return model.package_path(work, size, to, weights)


def _environment() -> dict[str, str]:
    """The environment of every child: whole paths, for it runs from the repository's root."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _sources(work: Path, width: int, height: int) -> list[str]:
    """Two source pictures, drawn: smooth colours and a little grain."""
    work.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    paths = []
    for index in range(2):
        waves = [np.sin(2 * math.pi * ((index + 1) * x + channel * y)) for channel in range(3)]
        grain = np.random.default_rng(index).normal(0, 0.05, (height, width, 3))
        pixels = np.clip(0.5 + 0.35 * np.stack(waves, axis=2) + grain, 0, 1)
        path = work / f"source-{index}-{width}x{height}.png"
        Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(path)
        paths.append(str(path))
    return paths


def _compare(picture: Path, reference: Path | None) -> dict[str, Any]:
    """The picture's checksum, and its PSNR in dB to the reference configuration's; None when the two are equal."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), np.float64)
    described: dict[str, Any] = {"sha256": hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()}
    if reference is not None and reference != picture:
        with Image.open(reference) as image:
            error = float(np.mean((pixels - np.asarray(image.convert("RGB"), np.float64)) ** 2))
        described["psnr"] = round(10 * math.log10(255**2 / error), 2) if error else None
    return described


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.img2img", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the model and the runs' files")
    parser.add_argument("--size", choices=model.SIZES, default="sd15", help="default: sd15")
    parser.add_argument("--to", choices=("onnx", "openvino"), default="onnx", help="default: onnx, for both engines")
    parser.add_argument("--weights", choices=("fp32", "fp16", "int8"), default="fp32", help="default: fp32")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), help="default: all")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--guidance-scale", type=float, default=7.5)
    parser.add_argument("--sampler", default="ddim", help="default: ddim, one network call a step and known to all")
    parser.add_argument("--threads", type=int, default=records.cores(), help="default: one a core")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each configuration; default: 3")
    parser.add_argument("--cold", type=int, default=1, help="in how many of them the first picture has all its steps")
    parser.add_argument("--results", type=Path, default=records.RESULTS / "img2img.jsonl")
    parser.add_argument("--no-tables", dest="tables", action="store_false", help="leave README.md as it is")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
