"""Embeddings (textual inversions) at the command line: files that are named, and folders to look names up in."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from partway.adapters.embeddings import SUFFIXES
from partway.errors import InputError

Pair = tuple[str, str]  # a name and a file


def parsed(text: str) -> Pair:
    """FILE or FILE:NAME; without a name it is the file's own."""
    file, colon, name = text.rpartition(":")
    if not colon or os.path.exists(text) or "/" in name or "\\" in name:
        return Path(text).stem, text
    if not file or not name:
        raise argparse.ArgumentTypeError(f"a file is needed, with or without a name behind a colon, not {text!r}")
    return name, file


def gathered(given: Iterable[Sequence[str]], folder: str | None, texts: Iterable[str]) -> list[Pair]:
    """The embeddings that are ``given``, and those in a folder that a text names; raises `InputError` for no folder.

    A given file that is not here may lie in the folder, as those of a replayed picture do.
    """
    pairs = [(name, file) for name, file in given]
    if folder is None:
        return pairs
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"there is no folder {folder} of embeddings")
    known = {name.casefold() for name, _ in pairs}
    said = " ".join(texts).casefold()
    here = {file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES}
    found = {
        file.stem.casefold(): file for file in sorted(here, key=lambda one: SUFFIXES[::-1].index(one.suffix.lower()))
    }
    pairs = [(name, _within(root, file)) for name, file in pairs]
    return pairs + [(file.stem, str(file)) for name, file in found.items() if name in said and name not in known]


def _within(root: Path, file: str) -> str:
    beside = root / Path(file).name
    return str(beside) if not os.path.exists(file) and beside.is_file() else file
