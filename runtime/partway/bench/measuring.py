"""Measure what pictures take in this process: seconds, memory, energy.

Standard library only, and nothing of partway: the benchmarks load this file by its path, in environments of other tools
that have no partway. It runs in ``python -m partway.bench.processes`` and in ``python -m benchmarks.child``.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Job:
    """One configuration of one tool.

    model     a folder, or what else the tool calls a model
    options   that the tool loads the model with
    settings  of a picture, besides those below
    width, height  in pixels
    threads   how many the tool may use, None for its own choice
    sampler   by partway's name
    noise     path of a .npy file (draws, 1, channels, height, width) with the normal numbers that partway draws from
              ``seed``, in its order, for tools that take noise; None for tools that do not
    """

    tool: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    width: int = 512
    height: int = 512
    steps: int = 20
    strength: float = 0.5
    guidance_scale: float = 7.5
    sampler: str = "ddim"
    seed: int = 0
    threads: int | None = None
    noise: str | None = None


class Request(NamedTuple):
    """One picture to make: the path of its source, the prompt, the steps of the whole schedule, and the strength."""

    image: str
    prompt: str
    steps: int
    strength: float


class Made(NamedTuple):
    """A PIL picture; the seconds and calls of each network, and the final latents, where the tool gives them."""

    picture: Any
    seconds: dict[str, float]
    calls: dict[str, int]
    latents: Any = None


Make = Callable[[Request], Made]
Start = Callable[[Job], Make]


def measure(job_file: Path, out: Path, start: Start, versions: Callable[[], dict[str, str]]) -> None:
    """Make the first picture, the warm one and those ``again``; write ``record.json`` and the pictures into ``out``.

    The first request may have fewer steps, or be the only one. The warm one has another picture and prompt, so that
    nothing that was remembered from the first can be reused; those after it have the warm one's at other strengths, so
    that something can. ``versions`` returns the versions of the libraries that ran; it is called last, so that it is
    not measured.
    """
    content = json.loads(job_file.read_text("utf-8"))
    record: dict[str, Any] = {"launch_seconds": time.time() - content["started"]}
    begun = time.perf_counter()
    make = start(Job(**content["job"]))
    record["open_seconds"] = time.perf_counter() - begun
    made, record["first"] = _timed(make, Request(*content["first"]))
    record["cold_seconds"] = time.time() - content["started"]
    if "warm" in content:
        made, record["warm"] = _timed(make, Request(*content["warm"]))
    record["peak_bytes"] = peak_bytes()
    _save(made, out / "picture.png")
    record["again"] = []
    for index, request in enumerate(content.get("again", [])):
        made, again = _timed(make, Request(*request))
        _save(made, out / f"again-{index}.png")
        record["again"].append(again)
    record["versions"] = versions()
    (out / "record.json").write_text(json.dumps(record))


def _timed(make: Make, request: Request) -> tuple[Made, dict[str, Any]]:
    before, begun = energy(), time.perf_counter()
    made = make(request)
    total = time.perf_counter() - begun
    seconds = {**made.seconds, "total": total}
    joules = joules_between(before, energy())
    about = {"steps": request.steps, "strength": request.strength, "seconds": seconds, "calls": made.calls}
    return made, about | {"joules": joules}


def _save(made: Made, path: Path) -> None:
    """Save the picture, and the latents beside it as .npy where the tool gives them."""
    made.picture.save(path)
    if made.latents is not None:
        import numpy as np  # every tool has it that gives latents

        np.save(path.with_suffix(".npy"), np.asarray(made.latents, np.float32))


def peak_bytes() -> int | None:
    """The most memory this process has had resident, in bytes; None on Windows.

    Linux counts the parent's memory into a child's ru_maxrss; VmHWM starts anew with the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def energy(powercap: Path = POWERCAP) -> dict[str, tuple[int, int]]:
    """The (counter, range) of each processor package of the machine, in microjoules (RAPL); empty if unreadable."""
    found = {}
    for zone in sorted(powercap.glob("intel-rapl:*")) if powercap.is_dir() else []:
        if zone.name.count(":") != 1:
            continue  # cores and memory controllers, which their package counts too
        try:
            counter, limit = ((zone / name).read_text() for name in ("energy_uj", "max_energy_range_uj"))
        except OSError:  # only root may read them on most systems
            return {}
        found[zone.name] = (int(counter), int(limit))
    return found


def joules_between(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> float | None:
    """Joules between two readings of `energy`, whose counters start again at their range; None if unreadable."""
    if not before or before.keys() != after.keys():
        return None
    return sum((after[zone][0] - start) % limit for zone, (start, limit) in before.items()) / 1e6
