"""How much memory runs take, and how much `partway.Plan` says beforehand.

    python -m benchmarks.memory [--models FOLDER ...] [--engines NAME ...] [--sizes N ...]

Each model, engine and size runs without a limit, then with limits that are ever a little below what the last plan
needs, until partway refuses: so every way of saving memory is measured, also a streamed UNet where a package was
exported with ``--segments``. Each run is a process of its own that makes two pictures, so that networks which are
released load again. Appends to ``results/memory.jsonl``; prints a table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import partway
from benchmarks import records
from partway.bench.measuring import peak_bytes
from partway.support.machine import versions

RESULTS = records.RESULTS / "memory.jsonl"
_SETTINGS: dict[str, Any] = {"steps": 4, "strength": 0.5}


def cases(model: str | None, engine: str, size: int) -> Iterator[dict[str, Any]]:
    """A case for each way of running that partway has for this model, engine and size."""
    limit = None
    while True:
        options = partway.EngineOptions(threads=1, memory_limit=limit)
        try:
            plan = partway.plan(model or "rooms", width=size, height=size, engine=engine, options=options, **_SETTINGS)
        except partway.InputError:
            return
        assert plan.peak_bytes is not None
        yield {
            "model": model,
            "engine": engine,
            "size": size,
            "limit": limit,
            "done": plan.memory,
            "predicted_bytes": plan.peak_bytes,
        }
        limit = plan.peak_bytes - 1


def run(case: dict[str, Any]) -> int:
    """Run a case in this process; return the most memory it had resident, in bytes."""
    from PIL import Image

    limit = case["limit"]
    pipe = partway.load(case["model"], engine=case["engine"], threads=1, memory_limit=limit)
    for colour in ("red", "blue"):
        picture = Image.new("RGB", (case["size"],) * 2, colour)
        pipe.img2img(picture, f"a {colour} room", **_SETTINGS)
    most = peak_bytes()
    if most is None:
        raise SystemExit("this system does not tell how much memory a process had at its peak")
    return most


def main(arguments: list[str]) -> None:
    """Measure every case in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=[None], metavar="FOLDER", help="default: the built-in model")
    parser.add_argument("--engines", nargs="*", default=["onnxruntime", "openvino"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 512, 768], help="pixels")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: memory.jsonl in results/")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        print(run(json.loads(options.case)))
        return
    session = records.session("memory") | {"versions": versions(("partway", "numpy", "onnxruntime", "openvino"))}
    print(f"{'model':<16} {'engine':<12} {'size':>5} {'predicted':>10} {'measured':>9} {'error':>7}  done")
    for model in options.models:
        for engine in options.engines:
            for size in options.sizes:
                for case in cases(model, engine, size):
                    command = [sys.executable, "-m", "benchmarks.memory", "--case", json.dumps(case)]
                    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=records.HERE.parent)
                    record = case | {
                        "model": Path(model).name if model else "rooms",
                        "measured_bytes": int(made.stdout.split()[-1]),
                    }
                    records.append(options.results, session | record)
                    print(row(record), flush=True)


def row(record: dict[str, Any]) -> str:
    """One line of the table; memory in MB."""
    predicted, measured = record["predicted_bytes"], record["measured_bytes"]
    return (
        f"{record['model']:<16} {record['engine']:<12} {record['size']:>5} {predicted / 1e6:>10.0f} "
        f"{measured / 1e6:>9.0f} {100 * (predicted / measured - 1):>+6.0f} %  {record['done']}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
