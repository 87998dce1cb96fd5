"""The report of a batch: a line for each picture, and all of them in one."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from partway.batch.making import FAILED, KEPT, MADE, NO_PICTURE, Fate
from partway.support.files import write_atomically
from partway.support.lines import one_line

NAME = "report.csv"


def write(fates: Sequence[Fate], out: Path) -> Path:
    """Write ``report.csv`` into the folder of outputs, by picture, and return its path."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(Fate._fields)
    for fate in sorted(fates):
        table.writerow(fate._replace(seconds=round(fate.seconds, 3), problem=one_line(fate.problem)))
    data, path = text.getvalue().encode("utf-8", errors="replace"), out / NAME

    def fill(file: BinaryIO) -> None:
        file.write(data)

    write_atomically(path, fill)
    return path


def summary(fates: Sequence[Fate], seconds: float) -> str:
    """All of them in one line."""
    states = Counter(fate.state for fate in fates)
    said = (
        ", ".join(f"{states[state]} {state}" for state in (MADE, KEPT, FAILED, NO_PICTURE) if states[state]) or "none"
    )
    rate = f"; {60 * states[MADE] / seconds:.0f} a minute" if states[MADE] and seconds else ""
    return f"{len(fates)} pictures: {said}{rate}"
