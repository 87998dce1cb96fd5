"""Batches as tests see them: what was drawn to start from, and what came out."""

import csv
from collections.abc import Callable
from pathlib import Path

Drawn = Callable[..., Path]


def outputs(folder: Path | str) -> dict[str, bytes]:
    """Every picture below a folder of outputs, by name."""
    found = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix in (".png", ".jpg", ".webp"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def reported(folder: Path | str) -> dict[str, dict[str, str]]:
    """The rows of a report, by output."""
    with Path(folder, "report.csv").open(encoding="utf-8", newline="") as file:
        return {row["output"]: row for row in csv.DictReader(file)}


def states(folder: Path | str) -> dict[str, str]:
    """What became of each picture, by output."""
    return {name: row["state"] for name, row in reported(folder).items()}
