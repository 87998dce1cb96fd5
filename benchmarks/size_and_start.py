"""How long ``import partway`` takes and how much disk a runtime-only installation needs.

    python -m benchmarks.size_and_start [--start] [--install]

does both by default; appends to ``results/start.jsonl`` and ``results/install.jsonl`` and renews README.md's tables.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import records, tables
from benchmarks.inputs import bytes_on_disk

ROOT = records.HERE.parent
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
LIBRARIES, PARTWAY = "import numpy, PIL.Image", "import partway"

_TOOLS = ("pip", "setuptools", "wheel")
# Runs in the new environment: bytes of each distribution's files, and of everything in site-packages.
_SIZES = f"""
TOOLS = {_TOOLS}
import json, sysconfig
from importlib import metadata
from pathlib import Path
site = Path(sysconfig.get_path("purelib"))
sizes, versions = dict(), dict()
for dist in metadata.distributions(path=[str(site)]):
    name = dist.metadata["Name"].lower()
    files = set(Path(dist.locate_file(file)).resolve() for file in dist.files or ())
    sizes[name] = sum(file.stat().st_size for file in files if file.is_file() and file.is_relative_to(site.resolve()))
    versions[name] = dist.version
everything = [file for file in site.rglob("*") if file.is_file()]
total = sum(file.stat().st_size for file in everything)
compiled = [file for file in everything if file.suffix == ".pyc"]
bytecode = sum(file.stat().st_size for file in compiled if file.relative_to(site).parts[0] not in TOOLS)
print(json.dumps({{"sizes": sizes, "versions": versions, "total": total, "bytecode": bytecode}}))
"""


def measure_start(repeats: int, python: str = sys.executable) -> dict[str, Any]:
    """Seconds of ``import partway`` and of numpy's and Pillow's imports alone; medians, taking turns.

    ``slowest`` are the imports beyond those two that take the most time of their own, in seconds.
    """
    times: dict[str, list[float]] = {LIBRARIES: [], PARTWAY: []}
    for statement in [LIBRARIES, PARTWAY] * (repeats + 1):
        times[statement].append(float(_output(python, "-c", _TIMED.format(statement))))
    libraries, partway = (median(values[1:]) for values in times.values())  # the first turn fills the disk's cache
    own = _own_seconds(python, PARTWAY)
    known = set(_own_seconds(python, LIBRARIES))
    slowest = sorted((name for name in own if name not in known), key=lambda name: -own[name])[:8]
    return {
        "libraries_seconds": libraries,
        "partway_seconds": partway,
        "beyond_seconds": partway - libraries,
        "repeats": repeats,
        "slowest": {name: own[name] for name in slowest},
    }


def measure_install(source: Path = ROOT, extras: str = "") -> dict[str, Any]:
    """Bytes of partway and its dependencies, installed with ``extras`` into a new environment; pip excluded.

    ``bytecode_bytes`` of them are .pyc files, which pip compiles while it installs. ``environment_bytes`` are those of
    the whole environment, pip included, as peers' are counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        constraints = str(source / "constraints.txt")
        wanted = f"{source}[{extras}]" if extras else str(source)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, wanted], check=True)
        found = json.loads(_output(python, "-I", "-c", _SIZES))
        environment = bytes_on_disk(Path(folder))
    tools = sum(found["sizes"].get(name, 0) for name in _TOOLS)
    packages = {name: size for name, size in found["sizes"].items() if name not in _TOOLS}
    return {
        "extras": extras,
        "bytes": found["total"] - tools,
        "bytecode_bytes": found["bytecode"],
        "environment_bytes": environment,
        "packages": packages,
        "versions": {name: version for name, version in found["versions"].items() if name in packages},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.size_and_start", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--start", action="store_true", help="only the import time")
    parser.add_argument("--install", action="store_true", help="only the size on disk")
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args(argv)
    if args.start or not args.install:
        before = records.Processor.now()
        measured = measure_start(args.repeats)
        quiet = {"others_busy": before.others(records.Processor.now())}
        records.append(records.RESULTS / "start.jsonl", records.session("start") | quiet | measured)
        print(f"import partway: {1000 * measured['beyond_seconds']:.0f} ms beyond numpy and Pillow")
        print("slowest of them:", {name: f"{1000 * seconds:.1f} ms" for name, seconds in measured["slowest"].items()})
    if args.install or not args.start:
        common = records.session("install")
        for extras in ("", "openvino"):
            measured = measure_install(extras=extras)
            records.append(records.RESULTS / "install.jsonl", common | measured)
            print(f"installed with extras {extras or '-'}: {measured['bytes'] / 1e6:.1f} MB")
    tables.renew()


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _own_seconds(python: str, statement: str) -> dict[str, float]:
    """Each module's own import time in seconds, as ``-X importtime`` tells it."""
    command = [python, "-X", "importtime", "-c", statement]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.startswith("import time:")]
    return {name.strip(): int(own) / 1e6 for own, _, name in rows if own.strip().isdigit()}


if __name__ == "__main__":
    main()
