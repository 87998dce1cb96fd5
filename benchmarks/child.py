"""Runs one job in this process and writes what it took: ``python -m benchmarks.child JOB.json OUT_FOLDER``.

Imports nothing but the tool, so that its start-up time and its memory are its own.
"""

import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks.jobs import measure, versions


def main(job_file: str, out: str) -> None:
    """Run the job with the tool that it names."""
    name = json.loads(Path(job_file).read_text("utf-8"))["job"]["tool"]
    tool = import_module(f"benchmarks.tools.{name}")
    measure(Path(job_file), Path(out), tool.start, partial(versions, tool.PACKAGES))


if __name__ == "__main__":
    main(*sys.argv[1:])
