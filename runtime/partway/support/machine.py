"""This machine: its processor, and what is installed.

Standard library only: benchmarks load this file by its path, in environments that have no partway.
"""

import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def processor() -> tuple[str, frozenset[str]]:
    """What it is called, with the numbers of its kind, and its flags; of the latter two what Linux tells."""
    fields = next(_cores(), {})
    name = fields.get("model name") or platform.processor() or platform.machine()
    for kind in (("cpu family", "model"), ("CPU implementer", "CPU part")):
        if all(one in fields for one in kind):
            name += " (" + ", ".join(f"{one.split()[-1]} {fields[one]}" for one in kind) + ")"
    return name, frozenset((fields.get("flags") or fields.get("Features") or "").split())


def on_x86() -> bool:
    """Whether the processor is of the x86 family, in 64 bits."""
    return platform.machine().lower() in ("x86_64", "amd64")


def cores() -> int:
    """How many logical cores this process may use."""
    return len(_usable())


def physical_cores() -> int | None:
    """How many physical cores those are on; None where the system does not tell."""
    usable = {str(number) for number in _usable()}
    found = [(one.get("physical id"), one.get("core id")) for one in _cores() if one.get("processor") in usable]
    return len(set(found)) if found and all(None not in one for one in found) else None


def free_memory() -> int | None:
    """Bytes of memory that programs may still take; None where the system does not tell."""
    try:
        found = re.search(r"^MemAvailable: +(\d+) kB", _MEMINFO.read_text("utf-8"), re.M)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    from importlib import metadata  # start-up can do without it

    found = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _usable() -> set[int]:
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _cores() -> Iterator[dict[str, str]]:
    """What Linux tells of each logical core."""
    try:
        text = _CPUINFO.read_text("utf-8")
    except OSError:
        return
    for block in text.split("\n\n"):
        lines = (line.partition(":") for line in block.splitlines())
        yield {name.strip(): value.strip() for name, _, value in lines}
