"""What a network that guides a run by a picture is shown: made of any picture, or a ready one at the run's size."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from partway.errors import InputError
from partway.pictures import images
from partway.pictures.lines import canny

Array = NDArray[np.float32]
Maker = Callable[[Image.Image], Image.Image]

_BLUR = 9 / 512  # of the shorter side, the deviation of the blur, as A1111's for pictures of 512 pixels
_FACTOR = 8  # by which "tile" makes a picture smaller
_ODD = 0.02  # by how much proportions may differ, which rounding to whole pixels does
MASKED = -1.0
"""What pixels under the mask are in the hint of a network that inpaints."""


def _ready(picture: Image.Image) -> Image.Image:
    return picture


def _canny(picture: Image.Image) -> Image.Image:
    return Image.fromarray(canny(np.asarray(picture))).convert("RGB")


def _invert(picture: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(picture))


def _blur(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(_BLUR * min(picture.size)))


def _tile(picture: Image.Image) -> Image.Image:
    width, height = (max(1, round(side / _FACTOR)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)


MAKERS: Mapping[str, Maker] = {
    "ready": _ready, "canny": _canny, "invert": _invert, "blur": _blur, "tile": _tile, "mask": _ready,
}  # fmt: skip
"""What makes an RGB picture of one, by the kinds of `partway.controls.KINDS`; a mask is marked afterwards."""


def hint(kind: str, picture: Image.Image, mask: Array | None = None) -> Array:
    """A hint (1, 3, H, W) in [0, 1] of an RGB picture; under ``mask``, (1, 1, H, W) above a half, `MASKED`."""
    made = np.asarray(MAKERS[kind](picture), np.float32).transpose(2, 0, 1)[None] / np.float32(255)
    return made if mask is None else np.where(mask > 0.5, np.float32(MASKED), made)


def sized(picture: images.Picture, size: tuple[int, int]) -> Image.Image:
    """A picture in RGB at the ``size`` of a run, (width, height); one of other proportions is an `InputError`."""
    image = images.eight_bit(picture.original).convert("RGB")
    if image.size == size:
        return image
    (width, height), (wide, high) = image.size, size
    if abs(width * high / (wide * height) - 1) > _ODD:
        raise InputError(
            f"the control picture is {width}x{height} and the run's {wide}x{high}, of other proportions; crop it so"
        )
    return image.resize(size, Image.Resampling.LANCZOS)
