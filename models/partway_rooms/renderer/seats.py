"""Sofas, armchairs and poufs."""

from .geometry import Part, rotation
from .pieces import Rng, Size, legs, solid


def seat(size: Size, rng: Rng, kind: str, slot: str, seats: int) -> list[Part]:
    """A sofa (several seats) or an armchair (one)."""
    width, height, depth = size
    arm, foot, base = rng.uniform(0.12, 0.22), rng.uniform(0.08, 0.16), rng.uniform(0.2, 0.26)
    arm_height, back = rng.uniform(0.55, 0.66), rng.uniform(0.2, 0.26)
    inner = width - 2 * arm
    parts = [
        solid("box", (0, foot + base / 2, 0), (width, base, depth), slot, kind, soft=0.03, blocks=True),
        solid("round", (0, (foot + height) / 2, depth / 2 - back / 2), (width * 0.99, height - foot, back), slot, kind,
              soft=0.06, blocks=True),
    ]  # fmt: skip
    for side in (-1, 1):
        at = (side * (width - arm) / 2, (foot + arm_height) / 2, -0.01)
        parts.append(solid("round", at, (arm * 1.04, arm_height - foot, depth), slot, kind, soft=0.06, blocks=True))
    each = inner / seats
    for i in range(seats):
        x = -inner / 2 + each * (i + 0.5)
        deep = depth - back
        seat_at = (x, foot + base + 0.07, -back / 2 - 0.01)
        parts.append(solid("round", seat_at, (each * 0.99, 0.17, deep), slot, kind, soft=0.05, tag=i))
        back_at = (x, foot + base + 0.32, depth / 2 - back - 0.05)
        lean = rotation(0, -0.16, 0)
        parts.append(solid("round", back_at, (each * 0.97, 0.42, 0.2), slot, kind, soft=0.08, turn=lean, tag=i))
    count = int(rng.integers(1, 4)) if seats > 1 else int(rng.integers(0, 2))
    for i in range(count):
        spread = (inner / 2 - 0.24) * (1 if i % 2 else -1) * (1 - 0.5 * (i // 2)) if seats > 1 else 0.0
        wide = rng.uniform(0.36, 0.46)
        lean = rotation(rng.uniform(-0.3, 0.3), -0.3, rng.uniform(-0.2, 0.2))
        at = (spread, foot + base + 0.3, depth / 2 - back - 0.2)
        parts.append(solid("round", at, (wide, wide, 0.17), f"cushion{i % 3}", "cushion", soft=0.1, turn=lean, tag=i))
    return parts + legs(width, depth, foot, kind)


def sofa(size: Size, rng: Rng) -> list[Part]:
    """A sofa of two or three seats."""
    return seat(size, rng, "sofa", "sofa", 3 if size[0] > 2.05 else 2)


def armchair(size: Size, rng: Rng) -> list[Part]:
    """A single seat."""
    return seat(size, rng, "armchair", "chair", 1)


def pouf(size: Size, rng: Rng) -> list[Part]:
    """A soft round or square footstool."""
    width, height, depth = size
    shape = "round" if rng.random() < 0.5 else "cylinder"
    return [solid(shape, (0, height / 2, 0), (width, height, depth), "pouf", "pouf", soft=0.08, blocks=True)]
