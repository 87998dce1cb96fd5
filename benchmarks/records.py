"""Result files: one JSON line a run, each with the machine it ran on."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from partway.support.machine import cores, processor

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

# What decides how fast networks run on x86 and ARM.
_X86 = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
_ARM = ("asimd", "asimddp", "bf16", "i8mm", "sve", "sve2")


def session(benchmark: str) -> dict[str, Any]:
    """What every record of one command has in common: benchmark, time, code and machine."""
    return {
        "benchmark": benchmark,
        "session": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(),
        "machine": machine(),
    }


def append(path: Path, record: dict[str, Any]) -> None:
    """Add one record to a result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a result file, oldest first; none when there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def latest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of the newest session."""
    newest = max((record["session"] for record in records), default=None)
    return [record for record in records if record["session"] == newest]


def of_newest_commit(records: list[dict[str, Any]], *apart: str) -> list[dict[str, Any]]:
    """The records of the newest commit, for what is measured in several sessions.

    ``apart`` are fields: records in which they differ are not compared, and each kind has its own newest commit.
    """
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault(tuple(record.get(name) for name in apart), []).append(record)
    found = []
    for kind in kinds.values():
        newest = max(kind, key=lambda record: record["session"])
        found += [record for record in kind if record["commit"] == newest["commit"]]
    return found


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, flags that matter, memory, system and Python."""
    model, flags = processor()
    return {
        "cpu": model,
        "cores": cores(),
        "flags": [flag for flag in (*_X86, *_ARM) if flag in flags],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": _system(),
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """The commit of the code, marked "-dirty" when the code has been changed since; None outside a repository."""
    code = ["runtime", "export", "benchmarks/*.py", "benchmarks/tools"]  # results and tables change with every run
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain", "--", *code) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True).stdout.strip()


class Processor(NamedTuple):
    """Seconds since some start: the clock, all cores' work together (None where it cannot be read), our children's."""

    clock: float
    busy: float | None
    children: float

    @classmethod
    def now(cls) -> "Processor":
        """The counters as they are now."""
        times = os.times()
        try:
            line = Path("/proc/stat").read_text().splitlines()[0]
        except OSError:
            return cls(times.elapsed, None, 0.0)
        user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, line.split()[1:9])
        ticks = user + nice + system + interrupts + soft + stolen
        return cls(times.elapsed, ticks / os.sysconf("SC_CLK_TCK"), times.children_user + times.children_system)

    def others(self, later: "Processor") -> float | None:
        """Cores that others than our children kept busy on average between this and ``later``; 0 is a quiet machine."""
        if self.busy is None or later.busy is None:
            return None
        work = (later.busy - self.busy) - (later.children - self.children)
        return round(max(work, 0.0) / (later.clock - self.clock), 3)


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"
