"""What a benchmark child is asked and what a tool has to offer.

A tool is a module in `benchmarks.tools` with

    PACKAGES: tuple[str, ...]         the distributions whose versions belong in the record
    def start(job: Job) -> Make       imports the tool's libraries and loads what can be loaded before a picture

where ``Make`` turns a `Request` into a `Made`. The child times both, so a tool only has to do the work.

All of it is the code behind ``partway bench``, loaded as a file: peers' environments have no partway.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_RUNTIME = Path(__file__).resolve().parents[1] / "runtime/partway"


def _load(file: str) -> Any:
    path = _RUNTIME / file
    spec = spec_from_file_location(f"benchmarks.{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_measuring = _load("bench/measuring.py")
versions = _load("support/machine.py").versions
Job, Request, Made, Make = _measuring.Job, _measuring.Request, _measuring.Made, _measuring.Make
measure, energy, joules_between = _measuring.measure, _measuring.energy, _measuring.joules_between
