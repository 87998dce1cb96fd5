"""What a run of `benchmarks.img2img` needs before it is timed: the model's folder, pictures, noise, the rooms probe."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import model, peers, records
from benchmarks.cases import Case
from benchmarks.jobs import Job
from partway.bench import processes as bench
from partway.model.hub import locate
from partway.model.package import open_package


def folder(args: argparse.Namespace, case: Case) -> Path:
    """The folder to measure; made in a process of its own, for torch's memory to be gone before anything is timed."""
    to, weights = case.model or args.to, case.weights or args.weights
    if args.package is not None:
        return locate(args.package)
    options = ["--work", str(args.work), "--size", args.size, "--weights", weights]
    options += [] if to == "diffusers" else ["--to", to]
    options += [] if args.source is None else ["--source", str(args.source.resolve())]
    command = [sys.executable, "-m", "benchmarks.model", *options]
    subprocess.run(command, cwd=records.HERE.parent, env=environment(), check=True)
    if to == "diffusers":
        return model.source_path(args.work, args.size, args.source)
    package = model.package_path(args.work, args.size, to, weights, args.source)
    return peers.for_genai(args.work, package) if case.tool == "openvino_genai" else package


def described(args: argparse.Namespace, case: Case, where: Path) -> dict[str, Any]:
    """Which model it is, in what format and weights, and its bytes."""
    if args.package is not None:
        package = open_package(where)
        kind = {"size": args.package, "format": package.format, "weights": package.manifest.get("weights", "?")}
    else:
        size = model.source_path(args.work, args.size, args.source).name
        weights = case.options.get("dtype", "fp16") if case.model == "diffusers" else case.weights or args.weights
        kind = {"size": size, "format": case.model or args.to, "weights": weights}
    return kind | {"bytes": bytes_on_disk(where)}


def bytes_on_disk(folder: Path) -> int:
    """The size of all files in a folder, links counted where they lead."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def environment(*, ours: bool = True) -> dict[str, str]:
    """The environment of every child: whole paths, for it runs from the repository's root; none of ours for peers."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths if ours else [])}


def sources(args: argparse.Namespace, width: int, height: int) -> list[str]:
    """Two source pictures: drawn colours, or rooms that the built-in model has not seen where its probe is to read."""
    if not args.probe:
        return bench.sources(args.work, width, height)
    from partway_rooms import room

    if (width, height) != (256, 256):
        raise SystemExit("the probe reads pictures of 256x256; give --width 256 --height 256")
    paths = [args.work / f"room-{index}.png" for index in range(2)]
    for index, path in enumerate(paths):
        if not path.exists():
            room(index).picture.save(path)
    return [str(path) for path in paths]


def probe(wanted: bool) -> Any:
    if not wanted:
        return None
    from models.rooms.probe import load_probe

    return load_probe()


def noise(work: Path, width: int, height: int) -> str:
    """The numbers that a run of partway draws from the seed: for the encoder's sample, then for the start."""
    from partway.diffusion.noise import GENERATORS

    path = work / f"noise-{width}x{height}.npy"
    if not path.exists():
        stream = GENERATORS["torch-cpu"](Job("", "").seed)
        shape = (1, 4, -(-height // 8), -(-width // 8))
        np.save(path, np.stack([stream.normal(shape) for _ in range(2)]))
    return str(path)
