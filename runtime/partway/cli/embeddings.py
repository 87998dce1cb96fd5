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
    if text and (not colon or os.path.exists(text) or "/" in name or "\\" in name):
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
    here = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    places = {file.name: str(file) for file in here}
    pairs = [(name, file if os.path.exists(file) else places.get(Path(file).name, file)) for name, file in pairs]
    known, said = {name.casefold() for name, _ in pairs}, " ".join(texts).casefold()
    best = sorted(here, key=lambda file: SUFFIXES.index(file.suffix.lower()), reverse=True)
    found = {file.stem.casefold(): file for file in best}  # of one name, the suffix that comes first
    return pairs + [(file.stem, str(file)) for name, file in found.items() if name in said and name not in known]
