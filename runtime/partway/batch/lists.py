"""Lists of pictures, each with what is its own: CSV with a head, or JSON Lines."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from partway.errors import InputError

SUFFIXES = (".csv", ".jsonl", ".ndjson")


class Row(NamedTuple):
    """A line of a list: its place for messages, the picture as it is written there, and the other columns."""

    where: str
    picture: str
    columns: Mapping[str, Any]


def is_list(place: str) -> bool:
    """Whether a text names a list."""
    return Path(place).suffix.lower() in SUFFIXES and Path(place).is_file()


def rows(file: Path) -> list[Row]:
    """The rows of a list; columns that are empty are left out. Raises `InputError` that names the line."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"cannot read {file}: {problem}") from problem
    records = _csv(file, text) if file.suffix.lower() == ".csv" else _json(file, text)
    return [_row(where, record) for where, record in records]


def _row(where: str, record: Mapping[str, Any]) -> Row:
    columns = {name: value for name, value in record.items() if value not in ("", None)}
    picture = columns.pop("picture", None)
    if not isinstance(picture, str):
        raise InputError(f"{where} has no picture; that column, or key, names its file")
    return Row(where, picture, columns)


def _csv(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    try:
        for record in reader:
            where = f"{file.name} line {reader.line_num}"
            if None in record or None in record.values():
                raise InputError(f"{where} has another number of columns than the head")
            yield where, record
    except csv.Error as problem:
        raise InputError(f"{file.name} line {reader.line_num}: {problem}") from None


def _json(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{file.name} line {number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise InputError(f"{where} is no JSON: {problem}") from None
        if not isinstance(record, dict):
            raise InputError(f"{where} is not a JSON object")
        yield where, record
