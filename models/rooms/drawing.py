"""Rooms drawn without end: python -m models.rooms.drawing FOLDER --part K --parts N.

Draws every N-th chunk of the training rooms until the process that started it ends: first the pictures that training
is steered by, which it never learns from, then all others in order.
"""

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .renders import pictures

CHUNK = 8  # pictures in a file
CHECKS = 10  # files of pictures to steer by
CHECK_FROM = 9_000_000  # the number of the first of them
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def draw(folder: Path, indices: Iterable[int], first: int, side: int) -> None:
    """Writes the chunks of these indices that are not there yet, each at once and whole, while the parent lives."""
    folder.mkdir(parents=True, exist_ok=True)
    parent = os.getppid()
    for index in indices:
        if os.getppid() != parent:
            return
        path = folder / f"{index:06d}.npy"
        if path.exists():
            continue
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.save(file, np.stack([p.pixels for p in pictures(first + index * CHUNK, CHUNK, side)]))
        os.replace(temporary, path)


def start(folder: Path, workers: int, side: int) -> list[subprocess.Popen[bytes]]:
    """Processes that draw into the folder; they end when this one does."""
    command = [sys.executable, "-m", "models.rooms.drawing", str(folder), "--parts", str(workers), "--side", str(side)]
    environment = os.environ | ONE_THREAD
    return [subprocess.Popen([*command, "--part", str(part)], env=environment) for part in range(workers)]


def main() -> None:
    """Draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--side", type=int, default=256)
    args = parser.parse_args()
    os.nice(5)  # the process that trains is served first
    draw(args.folder / "check", range(args.part, CHECKS, args.parts), CHECK_FROM, args.side)
    draw(args.folder / "pool", itertools.count(args.part, args.parts), 0, args.side)


if __name__ == "__main__":
    main()
