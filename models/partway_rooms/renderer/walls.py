"""Walls as textures."""

import numpy as np

from .geometry import Array
from .textures import Spot, Texture, hashed, mix, noise, saw, tint


def plain(s: Spot) -> Array:
    """Paint, hardly uneven."""
    return tint(s.base, 0.012 * noise("cloud", s.u, s.v, 3.0))


def plaster(s: Spot) -> Array:
    """Hand-smoothed plaster."""
    return tint(s.base, 0.06 * noise("cloud", s.u, s.v, 2.2) + 0.02 * noise("speckle", s.u, s.v, 1.0) * s.fade(0.01))


def concrete(s: Spot) -> Array:
    """Poured concrete with the seams of its formwork."""
    seams = np.maximum(s.line(saw(s.u, 1.4), 0.012), s.line(saw(s.v, 1.2), 0.012))
    return tint(s.base, 0.09 * noise("cloud", s.u, s.v, 2.6) - 0.2 * seams)


def brick(s: Spot) -> Array:
    """Bricks in a running bond."""
    high, wide = 0.085, 0.26
    row = np.floor(s.v / np.float32(high))
    shift = s.u + np.float32(wide / 2) * (row.astype(np.int32) & 1)
    column = np.floor(shift / np.float32(wide))
    tone = 0.5 * (hashed(row * 131 + column) - 0.5) + 0.05 * noise("cloud", s.u, s.v, 0.9)
    joint = np.minimum(np.abs(saw(shift, wide)), np.abs(saw(s.v, high)))
    return mix(tint(s.base, tone * s.fade(0.12)), s.extra[0], s.line(joint, 0.014) * 0.75)


def slats(s: Spot) -> Array:
    """Upright wooden slats with dark gaps."""
    pitch = 0.11
    tone = 0.2 * (hashed(np.floor(s.u / np.float32(pitch))) - 0.5) + 0.04 * noise("grain", s.u, s.v, 1.5)
    return mix(tint(s.base, tone), s.extra[0], s.line(saw(s.u, pitch), 0.028) * 0.9)


def shiplap(s: Spot) -> Array:
    """Painted boards laid flat."""
    pitch = 0.2
    tone = 0.05 * (hashed(np.floor(s.v / np.float32(pitch))) - 0.5)
    return mix(tint(s.base, tone), s.extra[0], s.line(saw(s.v, pitch), 0.014) * 0.9)


def logs(s: Spot) -> Array:
    """Round logs laid flat."""
    pitch = 0.24
    y = saw(s.v - pitch / 2, pitch) / np.float32(pitch)
    tone = 0.16 * (hashed(np.floor(s.v / np.float32(pitch)), 4) - 0.5) + 0.07 * noise("grain", s.v, s.u, 1.5)
    return mix(
        tint(s.base, tone + 0.35 * (0.16 - y * y * 2) + 0.15 * y), s.extra[0], s.line(saw(s.v, pitch), 0.025) * 0.8
    )


def scallop(s: Spot) -> Array:
    """Fans of rings, each row over the one above."""
    wide, high = np.float32(0.36), np.float32(0.18)
    row = np.floor(s.v / high)
    cover = np.zeros_like(s.u)
    filled = np.zeros_like(s.u)
    for lower in (0, 1):
        r = row - lower
        x = saw(s.u + wide / 2 * (r.astype(np.int32) & 1), float(wide))
        y = s.v - r * high
        d = np.sqrt(x * x + y * y)
        inside = (d < wide / 2).astype(np.float32) * (1 - filled)
        rings = sum(s.line(d - wide * np.float32(k), 0.014) for k in (0.48, 0.33, 0.18))
        cover = cover + inside * rings
        filled = np.maximum(filled, inside)
    return mix(tint(s.base, 0.02 * noise("cloud", s.u, s.v, 2.0)), s.extra[0], np.clip(cover, 0, 1))


def damask_cover(s: Spot) -> Array:
    """Coverage of six-petalled flowers in staggered rows."""
    wide, high = np.float32(0.42), np.float32(0.6)
    cover = np.zeros_like(s.u)
    for k in (0, 1):
        x = saw(s.u + wide / 2 * k, float(wide)) / wide
        y = saw(s.v + high / 2 * k, float(high)) / high
        r, a = np.sqrt((x * 1.25) ** 2 + y * y), np.arctan2(y, x)
        petal = 0.24 + 0.09 * np.cos(a * 6) + 0.05 * np.cos(a * 2 + np.pi)
        soft = np.maximum(s.pixel * 2, np.float32(0.03))
        cover = cover + np.clip((petal - r) / soft + 0.5, 0, 1) - 0.8 * np.clip((0.11 - r) / soft + 0.5, 0, 1)
    return cover


def panelling(s: Spot, colour: Array, top: float) -> tuple[Array, Array]:
    """Wooden panels up to a height: their colour (3, n) and where they are (n,)."""
    below = np.clip((top - s.v) / np.maximum(s.pixel, 0.004) + 0.5, 0, 1)
    x, y = np.abs(saw(s.u, 0.7)), np.abs(s.v - top / 2)
    frame = np.maximum(x - np.float32(0.25), y - np.float32(top / 2 - 0.14))
    groove = s.line(frame, 0.03) - 0.6 * s.line(frame + 0.03, 0.03)
    rail = s.line(s.v - top, 0.06)
    grain = 0.06 * noise("grain", s.u, s.v, 1.5)
    return tint(colour, grain - 0.5 * groove + 0.5 * rail), below


def damask(s: Spot) -> Array:
    """Flowers of gold on paper above wooden panels."""
    paper = mix(tint(s.base, 0.03 * noise("cloud", s.u, s.v, 2.0)), s.extra[0], 0.42 * damask_cover(s) * s.fade(0.12))
    return mix(paper, *panelling(s, s.extra[1], 0.85))


def wainscot(s: Spot) -> Array:
    """Striped paper above wooden panels."""
    stripe = np.clip(saw(s.u, 0.22) / np.maximum(s.pixel, 0.01), -0.5, 0.5)
    return mix(tint(s.base, 0.12 * stripe * s.fade(0.15)), *panelling(s, s.extra[0], 0.85))


WALLS: dict[str, Texture] = {
    f.__name__: f for f in (plain, plaster, concrete, brick, slats, shiplap, logs, scallop, damask, wainscot)
}
