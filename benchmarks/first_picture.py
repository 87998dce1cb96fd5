"""From the start of a process to a finished picture of the built-in few-step model, on each engine.

    python -m benchmarks.first_picture [--beside CHECKOUT] [--turns 10]

OpenVINO has its networks compiled in a folder already. With another checkout of this repository both take turns, and
the ratio is of their medians. One line for each engine goes to ``results/first_picture.jsonl``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import records
from partway.support.machine import versions
from partway_rooms import room

FILE = records.RESULTS / "first_picture.jsonl"
ENGINES = ("onnxruntime", "openvino")
_CHILD = """
import sys
from time import perf_counter as now
begun = now()
import partway
imported = now()
engine, cache, source, out, threads = sys.argv[1:]
options = {"cache_dir": cache} if engine == "openvino" else {}
pipe = partway.load("rooms-lcm", engine=engine, threads=int(threads), **options)
loaded = now()
result = pipe.img2img(source, "a watercolour of a cozy scandinavian living room", strength=0.5, seed=1)
result.image.save(out)
print(imported - begun, loaded - imported, now() - loaded)
"""


def first(root: Path, engine: str, work: Path, threads: int) -> tuple[float, list[float]]:
    """Seconds of a whole process, and of its import, its load and its picture."""
    path = os.pathsep.join(str(root / name) for name in ("runtime", "export", "models"))
    cache = work / f"compiled-{abs(hash(str(root)))}"
    command = [sys.executable, "-c", _CHILD, engine, str(cache), str(work / "room.png"), str(work / "out.png")]
    begun = perf_counter()
    done = subprocess.run(
        [*command, str(threads)],
        env=os.environ | {"PYTHONPATH": path},
        cwd=work,
        check=True,
        capture_output=True,
        text=True,
    )
    return perf_counter() - begun, [float(part) for part in done.stdout.split()]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep one line an engine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_picture", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--beside", type=Path, default=None, metavar="CHECKOUT")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=FILE)
    args = parser.parse_args(argv)
    session = records.session("first_picture") | {"versions": versions(("partway", "onnxruntime", "openvino"))}
    roots = {"this": records.HERE.parent} | ({"other": args.beside.resolve()} if args.beside else {})
    with tempfile.TemporaryDirectory() as folder:
        room(3).picture.save(Path(folder) / "room.png")
        for engine in ENGINES:
            turns: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in roots}
            for _ in range(args.turns + 1):
                for name, root in roots.items():
                    turns[name].append(first(root, engine, Path(folder), args.threads))
            row: dict[str, object] = {"engine": engine, "threads": args.threads, "turns": args.turns}
            turns = {name: found[1:] for name, found in turns.items()}  # the first fills caches
            totals = {name: median(total for total, _ in found) for name, found in turns.items()}
            for name, found in turns.items():
                parts = [round(median(column), 3) for column in zip(*(parts for _, parts in found), strict=True)]
                row[name] = {"total": round(totals[name], 3)} | dict(zip(("import", "load", "run"), parts, strict=True))
            if "other" in totals:
                row["ratio"] = round(totals["this"] / totals["other"], 3)
            records.append(args.results, session | row)
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
