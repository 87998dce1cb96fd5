"""The pictures of a batch: what is wanted of each, reading it, and what became of it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from partway.errors import ImageError, InputError, NetworkError, is_integer
from partway.model.words import Prompt
from partway.pictures import images, masks
from partway.run.results import Result, Run

FAULTS = (ImageError, InputError, NetworkError, MemoryError, OSError)
"""What goes wrong with one picture and says nothing of the next."""

EDIT = ("only_masked", "padding", "mask_blur")
"""How a mask is used: keyword arguments of `Pipeline.inpaint`."""

Stream = Callable[..., Run]


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a batch, and what is wanted of it.

    name      its seed follows from this
    settings  those of the run, with its seed
    mask      a grey picture of its size; None where all of it may change
    edit      how the mask is used, see `EDIT`
    """

    picture: images.Source
    name: str
    prompt: Prompt
    settings: Mapping[str, Any]
    mask: images.Source | None = None
    edit: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Ready:
    """An entry whose picture has been read, and its mask."""

    entry: Entry
    picture: images.Picture
    edit: masks.Edit | None = None

    def begin(self, stream: Stream) -> Run:
        """Its run."""
        return stream(self.entry.prompt, self.edit or self.picture, **self.entry.settings)


@dataclass(frozen=True, eq=False)
class Done:
    """What became of an entry: a result, or the problem that it had."""

    entry: Entry
    result: Result | None = None
    problem: Exception | None = None


def seed_of(name: str, seed: int) -> int:
    """The seed of a picture in a batch that is given one seed: 32 bits that depend on nothing but this and its name.

    They are the first four bytes, as a big-endian number, of the SHA-256 of ``SEED:NAME`` in UTF-8.
    """
    text = f"{seed}:{name}".encode(errors="surrogateescape")
    return int.from_bytes(sha256(text).digest()[:4], "big")


def entry_of(item: object, number: int, prompt: Prompt, settings: Mapping[str, Any]) -> Entry:
    """An entry from what `Pipeline.batch` is given: a picture, or a mapping of it and what is its own.

    Its name is the file's, without folders, or else ``number``. Raises `InputError`.
    """
    own: dict[str, Any] = dict(item) if isinstance(item, Mapping) else {"picture": item}
    if "picture" not in own:
        raise InputError(f"an entry of a batch needs a picture, and here is none: {own!r}")
    picture = own.pop("picture")
    named = Path(picture).name if isinstance(picture, str | os.PathLike) else str(number)
    name, prompt, mask = own.pop("name", named), own.pop("prompt", prompt), own.pop("mask", None)
    edit = {key: own.pop(key) for key in EDIT if key in own}
    return Entry(picture, name, prompt, seeded(name, settings, own), mask, edit)


def seeded(name: str, settings: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for all pictures, and a picture's own, which has the seed of its name unless it brings one."""
    seed = settings.get("seed", 0)
    if not is_integer(seed, 0, 2**64 - 1):
        raise InputError(f"a batch goes by one seed that is not negative, not {seed!r}, so that it can be repeated")
    return {**settings, "seed": seed_of(name, int(seed)), **own}


def read(entry: Entry, size: tuple[int, int]) -> Ready:
    """Read a picture and its mask, which goes by the model's ``size`` where the mask's surroundings are enlarged."""
    picture = images.read(entry.picture)
    if entry.mask is None:
        return Ready(entry, picture)
    padding = entry.edit.get("padding", masks.PADDING) if entry.edit.get("only_masked") else None
    blur = entry.edit.get("mask_blur", 0)
    return Ready(entry, picture, masks.edit(picture, entry.mask, blur=blur, padding=padding, size=size))


def attempted(entry: Entry, size: tuple[int, int]) -> Ready | Done:
    """As `read`, with the problem where there is one."""
    try:
        return read(entry, size)
    except FAULTS as problem:
        return Done(entry, problem=problem)


def ran(stream: Stream, found: Ready | Done) -> Done:
    """What became of an entry that was read."""
    if isinstance(found, Done):
        return found
    try:
        return Done(found.entry, found.begin(stream).result())
    except FAULTS as problem:
        return Done(found.entry, problem=problem)
