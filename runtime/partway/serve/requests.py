"""The one request record, and the one check that everything a client asks for goes through."""

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageOps

import partway
from partway.errors import MAX_SIDE, PackageError, PartwayError, is_integer
from partway.pictures import images, masks
from partway.pictures.metadata import pixel_hash
from partway.run.latents import Latents
from partway.run.plans import Plan
from partway.serve import photos
from partway.serve.limits import Limits
from partway.serve.models import Models
from partway.serve.refusals import invalid, refusal
from partway.serve.shelf import Shelf
from partway.serve.wishes import Wish

log = logging.getLogger("partway.serve")
_Start = Image.Image | masks.Edit | Latents | None

RANDOM = 2**32
"""A seed that nobody gave is below this."""


@dataclass(frozen=True, eq=False)
class Request:
    """What will run, checked.

    task     "txt2img", "img2img", "inpaint" or "instruct"
    start    the picture, one with its mask, or latents; None for text-to-image
    size     (width, height) of the result
    edit     the arguments of `masks.edit`, for the record
    source   hashes of the picture, for the record
    first    the run of its first picture, which has decided everything and begun nothing
    digest   of the wish: the same for the same wish sent again
    """

    task: str
    model: str
    prompt: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    start: _Start
    size: tuple[int, int]
    edit: Mapping[str, Any]
    source: Mapping[str, str] | None
    first: partway.Run
    digest: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def plan(self) -> Plan:
        """The plan of its first picture, by which it runs."""
        return self.first.plan

    def begin(self, pipe: partway.Pipeline, index: int, deadline: float | None) -> partway.Run:
        """The run of one of its pictures, which can be had once; it takes at most ``deadline`` seconds."""
        run = self.first
        if index:
            run = _run(pipe, self.prompt, self.start, self.size, {**self.settings, "seed": self.seeds[index]})
        return run if deadline is None else run.within(deadline)


def checked(wish: Wish, models: Models, *, limits: Limits, shelf: Shelf) -> Request:
    """The request of a wish. Raises `Refusal` for whatever cannot be had, in one sentence."""
    try:
        return _checked(wish, models, limits, shelf)
    except PartwayError as problem:
        raise refusal(problem) from problem


def _checked(wish: Wish, models: Models, limits: Limits, shelf: Shelf) -> Request:
    model = models.known(wish.model)
    notes = () if wish.model in (model, None, "") else (f"model {model} in place of the one asked for",)
    if not is_integer(wish.count, 1, limits.pictures):
        raise invalid(f"at most {limits.pictures} pictures at a time, and at least 1, not {wish.count!r}", "n")
    prompt, settings = shelf.taken(wish.prompt, wish.settings)
    seeds = _seeds(settings.pop("seed", None), wish.count)
    chosen = partway.Settings(**settings)
    if chosen.steps > limits.steps:
        raise invalid(f"steps must be at most {limits.steps} on this server, not {chosen.steps}", "steps")
    pipe = models.pipeline(model)
    picture = _picture(wish, limits)
    start: _Start = wish.latents or picture
    edit: dict[str, Any] = {}
    if wish.mask is not None:
        start, edit = _masked(wish, picture, pipe.package.size)
    size = _size(wish, start, pipe.package.size, limits)
    first = _run(pipe, prompt, start, size, {**settings, "seed": seeds[0]})
    return Request(
        task=_task(pipe, start),
        model=model,
        prompt=prompt,
        settings=settings,
        seeds=seeds,
        start=start,
        size=size,
        edit=edit,
        source=_source(wish.picture, picture),
        first=first,
        digest=_digest(wish, model),
        ignored=wish.ignored,
        notes=notes,
    )


def _run(pipe: partway.Pipeline, prompt: str, start: _Start, size: tuple[int, int], settings: Any) -> partway.Run:
    """A run, with everything that can be wrong with it found out."""
    sides: dict[str, Any] = {"width": size[0], "height": size[1]} if start is None else {}
    try:
        return pipe.stream(prompt, start, instruct=_task(pipe, start) == "instruct", **sides, **settings)
    except PackageError as problem:
        if not settings.keys() & {"loras", "embeddings"}:
            raise
        log.warning("%s", problem)
        raise invalid("a LoRA or an embedding of the prompt does not fit this model", "prompt") from problem


def _task(pipe: partway.Pipeline, start: _Start) -> str:
    if start is None:
        return "txt2img"
    if pipe.package.guidance == "instruction":
        return "instruct"
    return "inpaint" if isinstance(start, masks.Edit) else "img2img"


def _seeds(seed: Any, count: int) -> tuple[int, ...]:
    """One seed a picture. None and negative ones, which is how others say so, leave the first to chance."""
    if seed is None or (is_integer(seed, -(2**63), -1)):
        seed = secrets.randbelow(RANDOM)
    if not is_integer(seed, 0, 2**64 - count):
        raise invalid(f"seed must be a whole number between 0 and {2**64 - count}, or -1 for any, not {seed!r}", "seed")
    return tuple(range(int(seed), int(seed) + count))


def _picture(wish: Wish, limits: Limits) -> Image.Image | None:
    """The picture to start from, at the size at which it is worked on."""
    if wish.picture is None:
        return None
    image = photos.decoded(wish.picture, "image", pixels=limits.pixels)
    if wish.size is None:
        return image
    _check_size(wish.size, limits)
    around = wish.mask is not None and wish.only_masked  # then only the part that is worked on has the size
    return image if around else photos.fitted(image, wish.size, wish.fit)


def _masked(wish: Wish, picture: Image.Image | None, size: tuple[int, int]) -> tuple[masks.Edit, dict[str, Any]]:
    """The picture under its mask, and the arguments that made it."""
    if picture is None or wish.mask is None:
        raise invalid("a mask needs a picture", "image")
    mask = photos.mask(wish.mask, picture.size, opaque_changes=wish.opaque_changes)
    if wish.hard:
        mask = mask.point([0] * 128 + [255] * 128)
    if wish.invert:
        mask = ImageOps.invert(mask)
    padding = wish.padding if wish.only_masked else None
    edit = masks.edit(images.read(picture), mask, blur=wish.mask_blur, padding=padding, size=wish.size or size)
    given = {"mask_blur": wish.mask_blur, **({"padding": padding} if wish.only_masked else {})}
    return edit, {"only_masked": wish.only_masked, **given}


def _size(wish: Wish, start: Any, usual: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """The size of the result."""
    if isinstance(start, Latents):
        return start.size
    if isinstance(start, masks.Edit):
        return start.source.original.size
    if start is not None:
        return start.size
    size = wish.size or usual
    _check_size(size, limits)
    return size


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    if not all(is_integer(side, 8, MAX_SIDE) for side in size) or size[0] * size[1] > limits.pixels:
        most = f"{limits.pixels / 1e6:.2g} million"
        raise invalid(f"size must be at least 8x8 and at most {most} pixels, not {size[0]}x{size[1]}", "size")


def _source(data: bytes | None, picture: Image.Image | None) -> dict[str, str] | None:
    if data is None or picture is None:
        return None
    return {"file_sha256": hashlib.sha256(data).hexdigest(), "pixels_sha256": pixel_hash(picture)}


def _digest(wish: Wish, model: str) -> str:
    """A hash of everything that a wish says."""
    files = [hashlib.sha256(data).hexdigest() for data in (wish.picture, wish.mask) if data is not None]
    said = {name: repr(getattr(wish, name)) for name in Wish.__dataclass_fields__ if name not in ("picture", "mask")}
    return hashlib.sha256(json.dumps([model, files, said], sort_keys=True).encode()).hexdigest()
