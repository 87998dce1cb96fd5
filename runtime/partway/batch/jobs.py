"""What is wanted of each picture, and which file it becomes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from partway.errors import ImageError, InputError
from partway.records import Wanted
from partway.run.entries import Entry, seeded


class Wish(Wanted, Protocol):
    """What was asked for of some pictures, with settings."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of a run."""
        ...


@dataclass(frozen=True, eq=False)
class Job:
    """One picture to make.

    path    of the picture to start from
    output  where it goes, below the folder of all outputs
    placed  whether that is its file's name, with the suffix of its format
    """

    entry: Entry
    path: Path
    output: PurePosixPath
    wish: Wish
    placed: bool = False


def job(
    name: str, path: Path, wish: Wish, *, mask: Path | None = None, seed: int | None = None, output: str | None = None
) -> Job:
    """A picture's job; its seed follows from its name unless one is given, and so does its output.

    Raises `InputError` for names of no file.
    """
    settings = seeded(name, wish.settings, {} if seed is None else {"seed": seed})
    place = _inside(name if output is None else output)
    if not place.name:
        raise InputError(f"{output or name!r} is no file's name")
    return Job(Entry(path, name, wish.prompt, settings, mask, wish.edit), path, place, wish, placed=output is not None)


def placed(jobs: Sequence[Job], suffix: str) -> list[Job]:
    """The jobs with outputs of that suffix: ``a.jpg`` becomes ``a.png``.

    Where several would become that, each keeps its own suffix before it: ``a.jpg.png``. What was given stays.
    """
    count = Counter(one.output.with_suffix(suffix) for one in jobs if not one.placed)

    def place(one: Job) -> PurePosixPath:
        short = one.output.with_suffix(suffix)
        return short if count[short] == 1 else one.output.with_name(f"{one.output.name}{suffix}")

    return [one if one.placed else replace(one, output=place(one), placed=True) for one in jobs]


def swept(jobs: Sequence[Job], strengths: Sequence[float]) -> list[Job]:
    """Each job that is placed at each strength, in which its output's name then ends."""
    return [_at(one, strength) for one in jobs for strength in strengths]


def check_apart(jobs: Sequence[Job], out: Path) -> None:
    """Raise `ImageError` where two jobs have one output, or an output is a picture that is read."""
    inputs = {path.resolve() for one in jobs for path in (one.path, one.entry.mask) if isinstance(path, Path)}
    seen: set[PurePosixPath] = set()
    for one in jobs:
        if one.output in seen:
            raise ImageError(f"two pictures would become {one.output}; rename one, or give each an output in a list")
        seen.add(one.output)
        if (out / one.output).resolve() in inputs:
            raise ImageError(f"{out / one.output} is a picture to start from; choose another folder for outputs")


def _at(one: Job, strength: float) -> Job:
    entry = replace(one.entry, settings={**one.entry.settings, "strength": strength})
    output = one.output.with_name(f"{one.output.stem}-{strength:.10g}{one.output.suffix}")
    return replace(one, entry=entry, output=output)


def _inside(name: str) -> PurePosixPath:
    """A name as a path that stays below the folder it is put into."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    return PurePosixPath(*parts)
