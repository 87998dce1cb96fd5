"""What a run's controls are shown: pictures of their own, or the one that the run starts from."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partway.controls import Control
from partway.errors import InputError
from partway.model.package import Package
from partway.pictures import hints, images
from partway.run.starts import Start

Array = NDArray[np.float32]


def hints_of(package: Package, start: Start) -> tuple[Array, ...]:
    """What a model's control units are shown, and its image prompt last; raises as `hint_of` does."""
    found = [hint_of(unit.control, start) for unit in package.control_units]
    if package.image_prompt is not None:
        picture = package.image_prompt.prompt.picture
        own = start.picture if picture is None else images.read(picture)
        if own is None:
            raise InputError(
                "which picture for the IP-Adapter? text-to-image starts from none; give it with --ip-image"
            )
        found.append(package.image_prompt.seen(own))
    return tuple(found)


def hint_of(control: Control, start: Start) -> Array:
    """The hint (1, 3, H, W) of a control at the size of the run, in [0, 1].

    It has a half of the picture or more under an inpainting mask as `partway.pictures.hints.MASKED`. Raises
    `InputError` and `ImageError` for pictures that are missing or do not fit.
    """
    mask = None
    if control.kind == "mask":
        if start.edit is None:
            raise InputError("the control kind 'mask' shows what a mask covers; use inpaint or outpaint")
        mask = start.edit.padded(1)
    return hints.hint(control.kind, _picture(control, start), mask)


def _picture(control: Control, start: Start) -> Image.Image:
    """The picture at the run's size; with a mask whose surroundings alone are worked on, that part of it."""
    if control.picture is None:
        if start.picture is None:
            raise InputError(f"which picture for the control kind {control.kind!r}? text-to-image starts from none")
        return hints.sized(start.edit.picture if start.edit else start.picture, start.size)
    picture = images.read(control.picture)
    if start.edit is None:
        return hints.sized(picture, start.size)
    whole = hints.sized(picture, start.edit.source.original.size).crop(start.edit.box)
    return whole if whole.size == start.size else whole.resize(start.size, Image.Resampling.LANCZOS)
