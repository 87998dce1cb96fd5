"""The sizes that condition SDXL's UNet: its input ``time_ids``.

They say how a training picture was scaled and cropped (Podell et al. 2023, arXiv 2307.01952, section 2.2). SDXL's
refiner takes an aesthetic score, about 1 to 10, in the place of the target size. Settings count in pixels, across
first; the network takes them down first.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError
from partway.settings import Settings

Array = NDArray[np.float32]

BASE = ("original_size", "crop", "target_size")
REFINER = ("original_size", "crop", "aesthetic_score", "negative_aesthetic_score")

AESTHETIC_SCORE, NEGATIVE_AESTHETIC_SCORE = 6.0, 2.5  # diffusers' defaults


def check(conditions: Sequence[str], settings: Settings) -> None:
    """Raise `InputError` if a setting is given that is not among a model's ``conditions``."""
    for name in dict.fromkeys([*BASE, *REFINER]):
        if getattr(settings, name) is not None and name not in conditions:
            kind = "SDXL's refiner" if name in REFINER[2:] else "SDXL's base" if name in BASE[2:] else "SDXL"
            raise InputError(f"{name} is for models like {kind}, and this one is not told it; leave it out")


def time_ids(conditions: Sequence[str], settings: Settings, size: tuple[int, int]) -> tuple[Array, Array] | None:
    """The input for the prompt and for the negative prompt, each (1, 5 or 6); None for models without ``conditions``.

    ``size``: (width, height) in pixels of what the UNet is given, the default of both sizes.
    """
    if not conditions:
        return None
    width, height = settings.original_size or size
    left, top = settings.crop or (0, 0)
    common = [height, width, top, left]
    if "target_size" in conditions:
        across, down = settings.target_size or size
        ids = np.array([[*common, down, across]], np.float32)
        return ids, ids
    scores = (
        (settings.aesthetic_score, AESTHETIC_SCORE),
        (settings.negative_aesthetic_score, NEGATIVE_AESTHETIC_SCORE),
    )
    positive, negative = (
        np.array([[*common, default if score is None else score]], np.float32) for score, default in scores
    )
    return positive, negative
