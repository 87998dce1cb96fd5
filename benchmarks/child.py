"""Runs one job in this process and writes what it took: ``python -m benchmarks.child JOB.json OUT_FOLDER``.

Imports nothing but the tool, so that its start-up time and its memory are its own.
"""

import json
import resource
import sys
import time
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job, Make, Request


def main(job_file: str, out: str) -> None:
    """Make the first picture, then the warm one; write ``record.json`` and ``picture.png`` into ``out``.

    The first request may have fewer steps; the warm one has another picture and prompt, so that nothing remembered
    from the first can be used again.
    """
    content = json.loads(Path(job_file).read_text())
    launch = time.time() - content["started"]
    job = Job(**content["job"])
    tool = import_module(f"benchmarks.tools.{job.tool}")
    begun = time.perf_counter()
    make: Make = tool.start(job)
    record: dict[str, Any] = {"launch_seconds": launch, "open_seconds": time.perf_counter() - begun}
    for name in ("first", "warm"):
        made, record[name] = _measure(make, Request(*content[name]))
        if name == "first":
            record["cold_seconds"] = time.time() - content["started"]
    record["peak_bytes"] = peak_bytes()
    record["versions"] = versions(tool.PACKAGES)
    made.picture.save(Path(out) / "picture.png")
    (Path(out) / "record.json").write_text(json.dumps(record))


def _measure(make: Make, request: Request) -> tuple[Any, dict[str, Any]]:
    begun = time.perf_counter()
    made = make(request)
    total = time.perf_counter() - begun
    return made, {"steps": request.steps, "seconds": {**made.seconds, "total": total}, "calls": made.calls}


def peak_bytes() -> int:
    """The most memory this process has had resident, in bytes.

    Linux counts the parent's memory into a child's ru_maxrss; VmHWM starts anew with the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
