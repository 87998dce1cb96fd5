"""Well-known models by a short name, from ``catalog.toml`` beside this file, which is installed with the package."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from partway.model.package import Package
from partway.settings import Options


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue; what each field means is said in the file. ``licence`` and others may be unknown."""

    name: str
    title: str
    source: str
    revision: str
    family: str
    package: str | None = None
    built_in: str | None = None
    licence: str | None = None
    gigabytes: float | None = None
    defaults: Options = field(default_factory=Options)


@cache
def entries() -> Mapping[str, Entry]:
    """Every entry by its name, in the file's order."""
    import tomllib  # not at start-up, where nobody may ask for a name

    rows: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return {name: Entry(name=name, **row) for name, row in rows.items()}


def near(name: str) -> str:
    """The end of a message about an unknown name: what the catalogue has that looks like it, or how to list it."""
    from difflib import get_close_matches  # start-up can do without it

    found = get_close_matches(name.lower(), entries(), n=3)
    return f"did you mean {' or '.join(found)}?" if found else "see: partway models"


def suited(package: Package, model: str | Path | None) -> Package:
    """The package with the defaults of its catalogue entry, if there is one.

    It is found by the source that the package's manifest names; without one, by the name or Hub id asked for.
    """
    known = package.manifest.get("source") or str(model)
    for entry in entries().values():
        if known in (entry.name, entry.source, entry.package):
            given: dict[str, Any] = dict(entry.defaults)
            sampler, schedule = given.pop("sampler", None), given.pop("schedule", None)
            return replace(
                package,
                sampler=sampler or package.sampler,
                schedule=schedule or (package.grid if sampler else package.schedule),
                grid=schedule or package.grid,
                defaults={**package.defaults, **given},
            )
    return package
