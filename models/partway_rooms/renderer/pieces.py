"""What furniture is built of: object classes, solids from their full size, legs."""

import numpy as np

from .geometry import Array, Part

KINDS = (
    "wall", "floor", "ceiling", "window", "curtain", "sofa", "armchair", "coffee table", "side table", "rug",
    "floor lamp", "table lamp", "bookcase", "plant", "picture", "television", "sideboard", "pouf", "cushion",
    "pendant lamp",
)  # fmt: skip
KIND = {name: index for index, name in enumerate(KINDS)}
UPRIGHT = np.eye(3, dtype=np.float32)
Rng = np.random.Generator
Size = tuple[float, float, float]  # width, height, depth


def solid(
    shape: str, centre: tuple[float, float, float], size: Size, slot: str, kind: str, *, soft: float = 0.0,
    taper: float = 0.0, turn: Array = UPRIGHT, tag: int = 0, blocks: bool = False,
) -> Part:  # fmt: skip
    """A part from its full size."""
    half = (size[0] / 2, size[1] / 2, size[2] / 2)
    return Part(shape, centre, half, slot, KIND[kind], turn, soft, taper, tag, blocks)


def legs(width: float, depth: float, height: float, kind: str, slot: str = "metal", thick: float = 0.04) -> list[Part]:
    """Four legs near the corners of a footprint."""
    x, z = width / 2 - thick, depth / 2 - thick
    return [
        solid("cylinder", (sx * x, height / 2, sz * z), (thick, height, thick), slot, kind)
        for sx in (-1, 1) for sz in (-1, 1)
    ]  # fmt: skip
