"""Contact sheets of the renderer: python -m models.rooms.sheet OUT.png [--across styles|lights|media|random]."""

import argparse

import numpy as np
from PIL import Image

from partway_rooms.renderer import LIGHTS, MEDIA, STYLES, Look, render, sample_layout, sample_look

ACROSS = {"styles": ("style", tuple(STYLES)), "lights": ("light", tuple(LIGHTS)), "media": ("medium", MEDIA)}
PLAIN = {"style": None, "light": "daylight", "medium": "photo"}


def looks_for(across: str, seed: int) -> list[Look]:
    """The looks of one row, all for one room."""
    if across == "random":
        return [sample_look(1000 * seed + i) for i in range(6)]
    key, names = ACROSS[across]
    return [sample_look(seed, **(PLAIN | {key: name})) for name in names]


def main() -> None:
    """Writes the sheet: one room a row, one look a column."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--across", choices=(*ACROSS, "random"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    rows = []
    for seed in range(args.seed, args.seed + args.rooms):
        drawn = [render(sample_layout(seed), look, args.size).pixels for look in looks_for(args.across, seed)]
        rows.append(np.concatenate(drawn, axis=1))
    Image.fromarray(np.concatenate(rows)).save(args.out, quality=90)


if __name__ == "__main__":
    main()
