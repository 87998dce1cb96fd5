"""Contact sheets of the renderer: python -m models.rooms.sheet OUT.png [--rows styles|lights|media|random] [--seed N]."""

import argparse

import numpy as np
from PIL import Image

from .renderer import LIGHTS, MEDIA, STYLES, Look, render, sample_layout, sample_look


def looks_for(rows: str, seed: int, count: int) -> list[list[tuple[int, Look]]]:
    """(layout seed, look) for each cell."""
    if rows == "random":
        return [[(seed + count * r + c, sample_look(seed + count * r + c)) for c in range(count)] for r in range(count)]
    names = {"styles": list(STYLES), "lights": list(LIGHTS), "media": list(MEDIA)}[rows]
    key = {"styles": "style", "lights": "light", "media": "medium"}[rows]
    fixed = {"style": None, "light": "daylight", "medium": "photo"} if rows == "styles" else {"medium": "photo"}
    fixed = {} if rows == "media" else fixed
    return [[(seed + c, sample_look(seed + c, **(fixed | {key: name}))) for c in range(count)] for name in names]


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--rows", choices=("styles", "lights", "media", "random"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    cells = looks_for(args.rows, args.seed, args.count)
    drawn = [np.concatenate([render(sample_layout(s), look, args.size).pixels for s, look in row], 1) for row in cells]
    Image.fromarray(np.concatenate(drawn, 0)).save(args.out)


if __name__ == "__main__":
    main()
