"""Floors as textures."""

import numpy as np

from .geometry import Array
from .textures import Spot, Texture, hashed, mix, noise, saw, tint


def board_colour(s: Spot, row: Array, along: Array, across: Array, long: float) -> tuple[Array, Array]:
    """Grain and tone of staggered boards, and the distance along to the nearest joint."""
    shift = along + hashed(row, 3) * np.float32(long)
    piece = np.floor(shift / np.float32(long))
    tone = hashed(row * 57 + piece, s.tag) - np.float32(0.5)
    grain = noise("grain", across + tone * 3, along + tone, 1.3) * s.fade(0.02)
    return np.float32(0.28) * tone + np.float32(0.07) * grain, saw(shift, long)


def planks(s: Spot) -> Array:
    """Floorboards."""
    wide = 0.13 * s.repeat
    row = np.floor(s.u / np.float32(wide))
    tone, joint = board_colour(s, row, s.v, s.u, 1.5)
    seam = np.maximum(s.line(saw(s.u, wide), 0.008), s.line(joint, 0.008))
    return tint(s.base, tone - 0.45 * seam)


def herringbone(s: Spot) -> Array:
    """Floorboards laid in a zigzag."""
    wide = np.float32(0.12)
    zig = np.abs(saw(s.u, 1.0)) - np.float32(0.25)
    slant = s.v + zig
    row = np.floor(slant / wide)
    side = np.floor(s.u * 2)
    tone = hashed(row * 31 + side, 5) - np.float32(0.5)
    seam = np.maximum(s.line(saw(slant, 0.12), 0.009), s.line(saw(s.u, 0.5), 0.01))
    flip = np.where(side.astype(np.int32) % 2 == 0, np.float32(0.09), np.float32(-0.09))
    return tint(s.base, 0.22 * tone + flip * s.fade(0.2) - 0.35 * seam)


def parquet(s: Spot) -> Array:
    """Squares of four strips, turned in turn."""
    cell = 0.34
    a, b = np.floor(s.u / np.float32(cell)), np.floor(s.v / np.float32(cell))
    odd = ((a + b).astype(np.int32) & 1).astype(bool)
    strip = np.where(odd, s.u, s.v)
    tone = hashed(np.floor(strip / np.float32(cell / 4)) + 91 * a + 17 * b, 2) - np.float32(0.5)
    flip = np.where(odd, np.float32(0.13), np.float32(-0.13)) * s.fade(0.2)
    seam = np.maximum(s.line(saw(s.u, cell), 0.008), s.line(saw(s.v, cell), 0.008))
    return tint(s.base, 0.18 * tone * s.fade(0.08) + flip - 0.3 * seam)


def checker(s: Spot) -> Array:
    """Two colours of marble in diagonal squares."""
    cell, pixel = np.float32(0.5), s.pixel
    a, b = (s.u + s.v) * np.float32(0.7071) / cell, (s.u - s.v) * np.float32(0.7071) / cell
    sharp = cell / np.maximum(pixel * 1.5, np.float32(0.01))
    wave = np.clip((np.abs(a % 2 - 1) - 0.5) * sharp, -0.5, 0.5) * np.clip((np.abs(b % 2 - 1) - 0.5) * sharp, -0.5, 0.5)
    vein = 0.05 * noise("cloud", s.u * 2, s.v, 1.4)
    return mix(tint(s.base, vein), s.extra[0], 0.5 + 2 * wave)


def tiles(s: Spot) -> Array:
    """Large tiles with fine joints."""
    cell = 0.45 * s.repeat
    seam = np.maximum(s.line(saw(s.u, cell), 0.01), s.line(saw(s.v, cell), 0.01))
    return mix(tint(s.base, 0.02 * noise("cloud", s.u, s.v, 2.0)), s.extra[0], seam)


def terracotta(s: Spot) -> Array:
    """Fired clay tiles, each of its own tone."""
    cell = 0.3
    a, b = np.floor(s.u / np.float32(cell) + 0.5), np.floor(s.v / np.float32(cell) + 0.5)
    edge = np.minimum(np.abs(saw(s.u - cell / 2, cell)), np.abs(saw(s.v - cell / 2, cell)))
    seam = s.line(edge, 0.016)
    return mix(tint(s.base, 0.3 * (hashed(a * 57 + b) - 0.5)), s.extra[0], seam * 0.8)


def tatami(s: Spot) -> Array:
    """Straw mats with dark borders."""
    long = 1.8
    odd = (np.floor(s.v / np.float32(0.9)).astype(np.int32) & 1).astype(np.float32)
    edge = np.minimum(np.abs(saw(s.u + odd * np.float32(0.9), long)), np.abs(saw(s.v, 0.9)))
    weave = 0.05 * np.sin(s.v * np.float32(220)) * s.fade(0.03) + 0.03 * noise("grain", s.v, s.u, 1.5)
    return mix(tint(s.base, weave), s.extra[0], s.line(edge, 0.055) * 0.85)


FLOORS: dict[str, Texture] = {f.__name__: f for f in (planks, herringbone, parquet, checker, tiles, terracotta, tatami)}
