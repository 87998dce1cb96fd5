"""The pictures that a folder or a pattern stands for, the masks that a rule gives them, and their sizes."""

import glob
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from PIL import Image

from partway.errors import InputError

_WILD = ("*", "?", "[")


class Source(NamedTuple):
    """A file, and its name in the batch: its path from the folder on, with slashes."""

    name: str
    path: Path
    mask: Path | None = None


def found(place: str, out: Path, mask_rule: str | None = None) -> list[Source]:
    """Every file below a folder, or of a pattern like ``photos/*.jpg``, that is no mask, by name.

    Hidden files, and what is below ``out`` inside that folder, are not among them. Raises `InputError` where there is
    no such place, or ``out`` is the folder itself.
    """
    root, results = _root(place), out.resolve()
    if root.resolve() == results:
        raise InputError(f"{out} is where the pictures are; choose another folder for outputs")
    apart = root.resolve() not in results.parents
    paths = [path for path in _files(place, root) if apart or results not in path.resolve().parents]
    rule = mask_rule and checked_rule(mask_rule)
    masks = {path: mask_of(path, rule) if rule else None for path in paths}
    are_masks = set(masks.values())
    return [
        Source(path.relative_to(root).as_posix(), path, masks[path]) for path in sorted(paths) if path not in are_masks
    ]


def is_pattern(place: str) -> bool:
    """Whether a text is a pattern, and no path of a file or folder that is there."""
    return any(mark in place for mark in _WILD) and not Path(place).exists()


def checked_rule(rule: str) -> str:
    """A rule for masks' names; raises `InputError` for one that gives all pictures the same."""
    if "{stem}" not in rule and "{name}" not in rule:
        raise InputError(f"a rule for masks has {{stem}} or {{name}} in it, like masks/{{stem}}.png, not {rule!r}")
    return rule


def mask_of(picture: Path, rule: str) -> Path:
    """Where the rule says that a picture's mask is: ``{stem}`` and ``{name}`` are its own, folders begin at its own."""
    return picture.parent / PurePath(rule.replace("{stem}", picture.stem).replace("{name}", picture.name))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels of an upright picture, as its file's head says; (0, 0) where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that Pillow copes with
            with Image.open(path) as image:
                turned = image.getexif().get(0x0112) in (5, 6, 7, 8)  # of EXIF's orientations, those on their side
                return (image.height, image.width) if turned else image.size
    except Exception:  # as in `partway.pictures.images`: decoders raise anything
        return 0, 0


def _root(place: str) -> Path:
    """The folder that names in the batch begin at."""
    path = Path(place)
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    if not is_pattern(place):
        raise InputError(f"no such folder, picture, list or pattern: {place}")
    fixed = []
    for part in path.parts[:-1]:
        if any(mark in part for mark in _WILD):
            break
        fixed.append(part)
    return Path(*fixed)


def _files(place: str, root: Path) -> Iterator[Path]:
    path = Path(place)
    every: Iterable[Path] = [path] if path.is_file() else path.rglob("*") if path.is_dir() else _matches(place)
    for one in every:
        hidden = any(part.startswith(".") for part in one.relative_to(root).parts)
        if one.is_file() and not hidden:
            yield one


def _matches(pattern: str) -> Iterator[Path]:
    return (Path(name) for name in glob.iglob(pattern, recursive=True))
