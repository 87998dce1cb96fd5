"""What a mask means: one rule for the command line, for Python and for a server.

- A mask with transparency marks what is transparent, by as much as it is, and its colours do not count. So painting
  programs erase, and so OpenAI's API has it.
- Any other mask marks by brightness: white is changed, black is kept, grey is a part of the strength.
- Labels, which are 0 and one number close to it, mean black and white. In an array of bool, True is changed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.pictures import images

Array = NDArray[np.float32]

_OPAQUE = 250  # of 255; what is drawn or saved as opaque may come out a little less
_LABEL = 0.02  # of white, a grey that nobody sees


class Meaning(NamedTuple):
    """A mask's weights, (H, W) in [0, 1], and what a user should know of how it was read; empty for nothing."""

    weights: Array
    remark: str = ""


def read(mask: images.Source) -> Meaning:
    """The meaning of a mask, which is any kind of picture, or an array of bool or of whole numbers to 255.

    Raises as `partway.pictures.images.read` does.
    """
    picture = images.read(_plain(mask))
    alpha = np.full(1, 255) if picture.alpha is None else np.asarray(picture.alpha)
    if alpha.min() < _OPAQUE:
        weights = np.where(alpha < _OPAQUE, 1 - alpha / np.float32(255), np.float32(0))
        return Meaning(weights, "the mask has transparency: what is transparent changes, and its colours do not count")
    grey: Array = (picture.pixels.mean(axis=1)[0] / 2 + 0.5).clip(0, 1)
    grey[grey < 1e-6] = 0  # so that black is exactly 0
    if 0 < grey.max() < _LABEL and len(np.unique(grey[grey > 0])) == 1:
        return Meaning(
            (grey > 0).astype(np.float32), "the mask has labels, 0 and one other: that one is taken as white"
        )
    return Meaning(grey)


def _plain(mask: images.Source) -> images.Source:
    """An array as one that pictures can be."""
    if not isinstance(mask, np.ndarray):
        return mask
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.dtype == np.bool_:
        return mask.astype(np.uint8) * np.uint8(255)
    whole = np.issubdtype(mask.dtype, np.integer) and mask.size and mask.min() >= 0 and mask.max() <= 255
    return mask.astype(np.uint8) if whole else mask
