"""What SDXL's UNet is told of sizes: as if the picture had been cut out of one of its training pictures.

Podell et al. 2023 (arXiv 2307.01952, section 2.2). Its refiner is told an aesthetic score, about 1 to 10, instead of
the target size. Everything here counts in pixels and across first, as pictures do; the network is told down first.
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
    """Raise `InputError` if a setting is given that a model of these conditions is not told."""
    for name in dict.fromkeys([*BASE, *REFINER]):
        if getattr(settings, name) is not None and name not in conditions:
            kind = "SDXL's refiner" if name in REFINER[2:] else "SDXL's base" if name in BASE[2:] else "SDXL"
            raise InputError(f"{name} is for models like {kind}, and this one is not told it; leave it out")


def told(conditions: Sequence[str], settings: Settings, seen: tuple[int, int]) -> tuple[Array, Array] | None:
    """What the network is told with the prompt and with the negative prompt, each (1, 5 or 6); None if nothing.

    ``seen``: (width, height) of what the network is shown, the default of both sizes.
    """
    if not conditions:
        return None
    width, height = settings.original_size or seen
    left, top = settings.crop or (0, 0)
    common = [height, width, top, left]
    if "target_size" in conditions:
        across, down = settings.target_size or seen
        row = np.array([[*common, down, across]], np.float32)
        return row, row
    scores = (
        (settings.aesthetic_score, AESTHETIC_SCORE),
        (settings.negative_aesthetic_score, NEGATIVE_AESTHETIC_SCORE),
    )
    positive, negative = (
        np.array([[*common, default if score is None else score]], np.float32) for score, default in scores
    )
    return positive, negative
