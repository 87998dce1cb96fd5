"""Larger canvases: the source in its place, pixels around it for a run to start from, and the mask of those."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from partway.errors import MAX_SIDE, InputError, is_integer, number
from partway.pictures import images, masks

FEATHER = 16  # pixels
_RADII = (0, 1, 2, 4, 8, 16, 32)  # of blurs, in pixels: the i-th for a distance of 2**i


@dataclass(frozen=True)
class Margins:
    """How many pixels to add on each side; raises `InputError` for negative ones and for none at all."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        sides = (self.left, self.top, self.right, self.bottom)
        if not all(is_integer(side, 0, MAX_SIDE) for side in sides):
            raise InputError(f"margins are whole numbers of pixels from 0 to {MAX_SIDE}, not {sides}")
        if not any(sides):
            raise InputError("nothing to add: give at least one of left, top, right, bottom")


def edit(picture: images.Picture, margins: Margins, feather: int = FEATHER) -> masks.Edit:
    """The edit that continues a picture when `partway.Pipeline.stream` runs it; see `canvas`.

    It has the picture's profile and transparency, and its 16 bits where it is grey and has so many; new pixels are
    opaque.
    """
    started, weights = canvas(picture, margins, feather)
    place = (margins.left, margins.top)
    if images.is_wide(picture.original) and picture.alpha is None:
        grey = np.asarray(started.convert("L"), np.float32) / np.float32(255)
        started = images.wide(grey)
        started.paste(images.wide((picture.pixels[0, 0] + 1) / 2), place)
    elif picture.alpha is not None:
        alpha = Image.new("L", started.size, 255)
        alpha.paste(picture.alpha, place)
        started.putalpha(alpha)
    if picture.icc_profile is not None:
        started.info["icc_profile"] = picture.icc_profile
    return masks.edit(images.read(started), weights)


def canvas(picture: images.Picture, margins: Margins, feather: int = FEATHER) -> tuple[Image.Image, images.Array]:
    """The picture on its larger canvas, RGB, and the mask (H, W) in [0, 1] of the new pixels.

    New pixels are the picture's reflection, blurred more the farther out they lie: a run gets colours and light from
    them, but no second sofa. The mask is 1 there, and falls to 0 over ``feather`` pixels of the picture along the
    sides that grow.
    """
    number("feather", feather, 0, MAX_SIDE)
    source = np.asarray(images.eight_bit(picture.original).convert("RGB"))
    height, width = source.shape[:2]
    grown = source
    for axis, (before, after) in enumerate([(margins.top, margins.bottom), (margins.left, margins.right)]):
        widths = [(0, 0)] * 3
        widths[axis] = (before, after)
        grown = np.pad(grown, widths, mode="symmetric")
    y, x = (np.arange(side) for side in grown.shape[:2])
    # distances outside the picture, and inside it from the sides that grow
    out_y, in_y = _distances(y, margins.top, height, margins.bottom)
    out_x, in_x = _distances(x, margins.left, width, margins.right)
    outside = np.maximum(out_y[:, None], out_x[None, :])
    inside = np.minimum(in_y[:, None], in_x[None, :])
    blurred = Image.fromarray(grown)
    place = np.clip(np.log2(np.maximum(outside, 1)), 0, len(_RADII) - 1)[..., None]
    mixed = np.zeros(grown.shape)
    for index, radius in enumerate(_RADII):  # mixes the two blurs whose radii are nearest to the distance
        share = np.maximum(0, 1 - np.abs(place - index))
        mixed += share * np.asarray(blurred.filter(ImageFilter.GaussianBlur(radius)))
    started = np.where(outside[..., None] > 0, mixed.round().astype(np.uint8), grown)
    weights = np.where(outside > 0, 1.0, np.clip(1 - inside / (feather + 1), 0, 1) if feather else 0.0)
    return Image.fromarray(started), weights.astype(np.float32)


def _distances(at: np.ndarray, before: int, length: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Each place's distance outside the picture along an axis, and inside it from the nearest side that grows."""
    outside = np.maximum(before - at, at - (before + length) + 1).clip(min=0)
    far = at.size + MAX_SIDE
    inside = np.minimum(at - before + 1 if before else far, before + length - at if after else far)
    return outside, np.broadcast_to(inside, at.shape)
