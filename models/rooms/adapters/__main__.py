"""Draws, trains and measures all adapters: python -m models.rooms.adapters --run DIR --out FOLDER.

The three trainings run side by side, for `--minutes` each after `--draw` minutes of drawing; on a GPU four or five
minutes are enough.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

RESULTS = (
    *("rooms_lcm.safetensors", "rooms_blueprint.safetensors", "rooms_lines.safetensors"),
    *("measured.json", "sheet.jpg"),
)


def start(name: str, *words: str) -> "subprocess.Popen[bytes]":
    """Starts a script of this folder; one thread for each, for there are several."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", f"models.rooms.adapters.{name}", *words], env=environment)


def main() -> None:
    """Runs them, and copies what they made after each turn; exits with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", type=float, default=1.6)
    parser.add_argument("--minutes", type=float, default=4.5)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=["lcm", "style", "control"], choices=("lcm", "style", "control"))
    parser.add_argument("--steps", default="100000")
    parser.add_argument("--batch", default="64")
    parser.add_argument("--pictures", default="200")
    parser.add_argument("--rooms", default="96")
    args = parser.parse_args()
    run, failed = ("--run", str(args.run)), False

    def copy() -> None:
        for name in RESULTS if args.out else ():
            if (path := args.run / "adapters" / name).exists():
                args.out.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, args.out / name)

    workers = ("--workers", str(args.workers))
    if not (args.run / "adapters" / "data.npz").exists():
        failed |= bool(start("data", *run, "--minutes", str(args.draw), *workers).wait())
    turn = ("--minutes", str(args.minutes), "--steps", args.steps, "--batch", args.batch)
    for training in [start(name, *run, *turn) for name in args.only]:
        failed |= bool(training.wait())
    copy()
    measure = ("--rooms", args.rooms, "--pictures", args.pictures, *workers)
    failed |= bool(start("evaluate", *run, *measure).wait())
    copy()
    sys.exit(failed)


if __name__ == "__main__":
    main()
