"""Furniture as lists of solids: each function builds one piece at the origin, its front towards -z."""

from collections.abc import Callable

import numpy as np

from .geometry import Array, Part, rotation
from .pieces import Rng, Size, legs, solid
from .seats import armchair, pouf, sofa


def decor(top: float, rng: Rng, kind: str, reach: float) -> list[Part]:
    """Small things on a table: books, a bowl, a vase."""
    parts = []
    if rng.random() < 0.7:
        turn = rotation(rng.uniform(-0.6, 0.6), 0, 0)
        for i in range(int(rng.integers(1, 4))):
            at = (-reach, top + 0.015 + 0.03 * i, 0.0)
            parts.append(solid("box", at, (0.26 - 0.03 * i, 0.028, 0.19), f"cushion{i % 3}", kind, turn=turn))
    if rng.random() < 0.6:
        parts.append(solid("cone", (reach, top + 0.05, 0), (0.22, 0.1, 0.22), "ceramic", kind, taper=-0.4))
    elif rng.random() < 0.7:
        parts.append(solid("ball", (reach, top + 0.09, 0), (0.13, 0.18, 0.13), "ceramic", kind))
        parts.append(solid("cylinder", (reach, top + 0.18, 0), (0.05, 0.1, 0.05), "ceramic", kind))
    return parts


def table(size: Size, rng: Rng, kind: str) -> list[Part]:
    """A low or side table: round on one foot, slab on four legs with a shelf, or a solid block."""
    width, height, depth = size
    form = rng.choice(["round", "legs", "block"], p=[0.4, 0.45, 0.15])
    top = 0.04
    if form == "round":
        parts = [
            solid("cylinder", (0, height - top / 2, 0), (width, top, depth), "table", kind, blocks=True),
            solid("cylinder", (0, height / 2, 0), (0.09, height - 0.05, 0.09), "metal", kind),
            solid("cylinder", (0, 0.015, 0), (width * 0.55, 0.03, depth * 0.55), "metal", kind),
        ]
    elif form == "legs":
        parts = [
            solid("box", (0, height - top / 2, 0), (width, top, depth), "table", kind, soft=0.008, blocks=True),
            solid("box", (0, 0.13, 0), (width - 0.1, 0.02, depth - 0.1), "table", kind, tag=1, blocks=True),
            *legs(width, depth, height - top, kind),
        ]
    else:
        parts = [solid("box", (0, height / 2, 0), (width, height, depth), "table", kind, soft=0.015, blocks=True)]
    return parts + (decor(height, rng, kind, width * 0.2) if kind == "coffee table" else [])


def rug(size: Size, rng: Rng) -> list[Part]:
    """A thin rectangle or disc on the floor."""
    shape = "cylinder" if abs(size[0] - size[2]) < 1e-6 else "box"
    return [solid(shape, (0, 0.008, 0), (size[0], 0.016, size[2]), "rug", "rug")]


def shade(rng: Rng, kind: str, at: float, wide: float, tall: float) -> Part:
    """A lampshade: a cone or a globe."""
    if rng.random() < 0.7:
        return solid("cone", (0, at, 0), (wide, tall, wide), "shade", kind, taper=rng.uniform(0.05, 0.35))
    return solid("ball", (0, at, 0), (wide * 0.85, wide * 0.85, wide * 0.85), "shade", kind)


def floor_lamp(size: Size, rng: Rng) -> list[Part]:
    """A standing lamp: foot, pole, shade."""
    height, kind = size[1], "floor lamp"
    parts = [solid("cylinder", (0, 0.015, 0), (0.28, 0.03, 0.28), "metal", kind)]
    parts.append(solid("cylinder", (0, height / 2, 0), (0.035, height - 0.1, 0.035), "metal", kind))
    return [*parts, shade(rng, kind, height - 0.16, rng.uniform(0.36, 0.5), rng.uniform(0.26, 0.36))]


def table_lamp(size: Size, rng: Rng) -> list[Part]:
    """A lamp that stands on something: body and shade."""
    kind = "table lamp"
    body = rng.choice(["ball", "cylinder"])
    wide = 0.17 if body == "ball" else 0.09
    parts = [solid(str(body), (0, 0.12, 0), (wide, 0.24, wide), "lampbase", kind)]
    parts.append(solid("cylinder", (0, 0.26, 0), (0.025, 0.12, 0.025), "metal", kind))
    return [*parts, shade(rng, kind, 0.42, rng.uniform(0.28, 0.36), rng.uniform(0.2, 0.25))]


def pendant_lamp(size: Size, rng: Rng) -> list[Part]:
    """A lamp on a cord; the origin is where the cord meets the ceiling."""
    kind, drop = "pendant lamp", size[1]
    cord = solid("cylinder", (0, -drop / 2, 0), (0.02, drop, 0.02), "metal", kind)
    return [cord, shade(rng, kind, -drop, size[0], size[0] * 0.6)]


def bookcase(size: Size, rng: Rng) -> list[Part]:
    """Shelves between two sides, with blocks of books and a few objects."""
    width, height, depth = size
    kind, board = "bookcase", 0.03
    parts = [solid("box", (0, height / 2, depth / 2 - 0.01), (width, height, 0.02), "wood", kind, tag=2, blocks=True)]
    for side in (-1, 1):
        at = (side * (width - board) / 2, height / 2, 0.0)
        parts.append(solid("box", at, (board, height, depth), "wood", kind, tag=3, blocks=True))
    rows = max(round(height / 0.4), 2)
    pitch = (height - board) / rows
    for row in range(rows + 1):
        at = (0.0, board / 2 + row * pitch, 0.0)
        parts.append(solid("box", at, (width - 2 * board, board, depth), "wood", kind, tag=4, blocks=row in (0, rows)))
    for row in range(rows):
        x, floor = -width / 2 + board, board + row * pitch
        while x < width / 2 - 0.2:
            room = width / 2 - board - x
            wide = min(rng.uniform(0.18, 0.5), room)
            choice = rng.random()
            if choice < 0.66:
                tall = pitch * rng.uniform(0.55, 0.78)
                at = (x + wide / 2, floor + tall / 2, 0.03)
                tag = int(rng.integers(1 << 16))
                parts.append(solid("box", at, (wide, tall, depth * 0.7), "books", kind, tag=tag))
            elif choice < 0.85:
                at = (x + wide / 2, floor + 0.08, 0)
                parts.append(solid("ball", at, (0.13, 0.16, 0.13), "ceramic", kind))
            x += wide + rng.uniform(0.0, 0.12)
    return parts


def leaf(at: tuple[float, float, float], size: Size, turn: Array, tag: int) -> Part:
    """One leaf: a flat ellipsoid."""
    return solid("ball", at, size, "leaf", "plant", turn=turn, tag=tag)


def plant(size: Size, rng: Rng) -> list[Part]:
    """A pot with a broad-leaved tree, upright blades or arching fronds."""
    height, pot = size[1], rng.uniform(0.28, 0.4)
    pot_height = min(pot * rng.uniform(0.8, 1.1), height * 0.4)
    taper = rng.choice([0.0, -0.15, -0.25])
    parts = [solid("cone", (0, pot_height / 2, 0), (pot, pot_height, pot), "pot", "plant", taper=taper, blocks=True)]
    form, crown = rng.choice(["tree", "blades", "fronds"]), height - pot_height
    if form == "tree":
        parts.append(solid("cylinder", (0, pot_height + crown * 0.35, 0), (0.03, crown * 0.7, 0.03), "wood", "plant"))
    for i in range(int(rng.integers(16, 26))):
        angle = rng.uniform(0, 2 * np.pi)
        if form == "tree":
            reach, up = rng.uniform(0.03, 0.26), pot_height + crown * rng.uniform(0.35, 0.97)
            at = (reach * np.cos(angle), up, reach * np.sin(angle))
            turn = rotation(angle, rng.uniform(-1.2, 0.2), rng.uniform(-0.8, 0.8))
            parts.append(leaf(at, (rng.uniform(0.12, 0.18), rng.uniform(0.18, 0.28), 0.03), turn, i))
        else:
            lean = rng.uniform(0.02, 0.22) if form == "blades" else rng.uniform(0.2, 1.0)
            long = crown * rng.uniform(0.65, 1.0)
            sway = long / 2 * np.sin(lean)
            at = (sway * np.sin(angle), pot_height + long / 2 * np.cos(lean), sway * np.cos(angle))
            wide = rng.uniform(0.05, 0.08) if form == "blades" else rng.uniform(0.07, 0.11)
            parts.append(leaf(at, (wide, long, 0.03), rotation(angle, lean, 0), i))
    return parts


def picture(size: Size, rng: Rng) -> list[Part]:
    """A framed picture; the origin is its middle, on the wall."""
    width, height, _ = size
    tag = int(rng.integers(1 << 16))
    return [
        solid("box", (0, 0, -0.012), (width, height, 0.024), "frame", "picture", soft=0.008, blocks=True),
        solid("box", (0, 0, -0.02), (width - 0.05, height - 0.05, 0.02), "art", "picture", tag=tag),
    ]


def television(size: Size, rng: Rng) -> list[Part]:
    """A flat screen on a small foot."""
    width, height, _ = size
    return [
        solid("box", (0, 0.06 + height / 2, 0), (width, height, 0.04), "screen", "television", blocks=True),
        solid("box", (0, 0.03, 0), (width * 0.3, 0.06, 0.08), "screen", "television"),
    ]


def sideboard(size: Size, rng: Rng) -> list[Part]:
    """A low cabinet on legs with two to four doors."""
    width, height, depth = size
    foot, doors = rng.uniform(0.08, 0.18), int(rng.integers(2, 5))
    body = height - foot
    parts = [solid("box", (0, foot + body / 2, 0), (width, body, depth), "wood", "sideboard", soft=0.01, blocks=True)]
    each = (width - 0.06) / doors
    for i in range(doors):
        x = -width / 2 + 0.03 + each * (i + 0.5)
        at, door = (x, foot + body / 2, -depth / 2), (each - 0.02, body - 0.07, 0.02)
        parts.append(solid("box", at, door, "wood", "sideboard", soft=0.008, tag=i + 1))
        knob = (x + each * (0.38 if i % 2 == 0 else -0.38), foot + body * 0.6, -depth / 2 - 0.02)
        parts.append(solid("box", knob, (0.02, 0.09, 0.02), "metal", "sideboard"))
    return parts + legs(width, depth, foot, "sideboard")


BUILD: dict[str, Callable[[Size, Rng], list[Part]]] = {
    "sofa": sofa,
    "armchair": armchair,
    "coffee table": lambda size, rng: table(size, rng, "coffee table"),
    "side table": lambda size, rng: table(size, rng, "side table"),
    "rug": rug,
    "floor lamp": floor_lamp,
    "table lamp": table_lamp,
    "pendant lamp": pendant_lamp,
    "bookcase": bookcase,
    "plant": plant,
    "picture": picture,
    "television": television,
    "sideboard": sideboard,
    "pouf": pouf,
}  # fmt: skip
