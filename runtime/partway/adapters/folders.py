"""Folders of embeddings, in which texts name them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from partway.errors import InputError

Pair = tuple[str, str]  # a name and a file

SUFFIXES = (".safetensors", ".sft", ".pt", ".bin", ".png")
"""What files of embeddings end with; of pickles (.pt, .bin) only the name is read, to say why they are refused."""


def embeddings_in(folder: str | Path) -> Mapping[str, Path]:
    """The files in a folder and those below it, by name; of one name the suffix that comes first.

    Raises `InputError` where there is no folder.
    """
    return _by_name(_files(folder))


def gathered(given: Iterable[Sequence[str]], folder: str | Path | None, texts: Iterable[str]) -> list[Pair]:
    """The embeddings that are ``given``, and those in a folder that a text names; raises `InputError` for no folder.

    A given file that is not here may lie in the folder, as those of a replayed picture do.
    """
    pairs = [(name, file) for name, file in given]
    if folder is None:
        return pairs
    here = _files(folder)
    found, places = _by_name(here), {file.name: str(file) for file in here}
    pairs = [(name, file if os.path.exists(file) else places.get(Path(file).name, file)) for name, file in pairs]
    known, said = {name.casefold() for name, _ in pairs}, " ".join(texts).casefold()
    return pairs + [(file.stem, str(file)) for name, file in found.items() if name in said and name not in known]


def _files(folder: str | Path) -> list[Path]:
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"there is no folder {folder} of embeddings")
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    best = sorted(files, key=lambda file: SUFFIXES.index(file.suffix.lower()), reverse=True)
    return {file.stem.casefold(): file for file in best}
