"""Cloth, leather, wood and leaves as textures."""

import numpy as np

from .geometry import Array
from .textures import Spot, Texture, hashed, mix, noise, saw, tint


def fabric(s: Spot) -> Array:
    """Woven cloth."""
    return tint(s.base, 0.045 * noise("cloth", s.u, s.v, 1.2) * s.fade(0.012) + 0.03 * noise("cloud", s.u, s.v, 1.0))


def leather(s: Spot) -> Array:
    """Worn leather."""
    return tint(s.base, 0.16 * noise("cloud", s.u, s.v, 1.1))


def velvet(s: Spot) -> Array:
    """Velvet, brushed here and there."""
    return tint(s.base, 0.12 * noise("cloud", s.u * 2, s.v, 1.6))


def tufted(s: Spot) -> Array:
    """Cloth drawn in to a grid of buttons."""
    a, b = saw(s.u + s.v, 0.26), saw(s.u - s.v, 0.26)
    crease = np.maximum(s.line(a, 0.02), s.line(b, 0.02)) * 0.35
    puff = 0.22 * np.cos(a * np.float32(np.pi / 0.26)) * np.cos(b * np.float32(np.pi / 0.26))
    return tint(s.base, puff - crease + 0.06 * noise("cloud", s.u, s.v, 1.2))


def stripes(s: Spot) -> Array:
    """Even stripes of two colours."""
    period = np.float32(0.24 * s.repeat)
    wave = np.abs(saw(s.u, float(period))) - period / 4
    return mix(
        tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)),
        s.extra[0],
        np.clip(wave / np.maximum(s.pixel, 0.004) + 0.5, 0, 1),
    )


def gingham(s: Spot) -> Array:
    """Small checks."""
    period = np.float32(0.12)
    soft = np.maximum(s.pixel, np.float32(0.006))
    a = np.clip((np.abs(saw(s.u, 0.12)) - period / 4) / soft + 0.5, 0, 1)
    b = np.clip((np.abs(saw(s.v, 0.12)) - period / 4) / soft + 0.5, 0, 1)
    return mix(tint(s.base, np.zeros_like(a)), s.extra[0], (a + b) / 2)


def plaid(s: Spot) -> Array:
    """Broad and narrow bands, crossing."""
    cover = np.zeros_like(s.u)
    for axis in (s.u, s.v):
        cover = cover + 0.3 * s.line(saw(axis, 0.26), 0.09) + 0.4 * s.line(saw(axis - np.float32(0.1), 0.26), 0.02)
    return mix(tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)), s.extra[0], np.clip(cover, 0, 1))


def ikat(s: Spot) -> Array:
    """Diamonds with ragged edges."""
    jag = 0.012 * noise("cloth", s.u, s.u, 0.6) * s.fade(0.02)
    d = np.abs(saw(s.u, 0.26)) + np.abs(saw(s.v + jag, 0.34)) * np.float32(0.75)
    soft = np.maximum(s.pixel, np.float32(0.01))
    ring = np.clip((0.035 - np.abs(d - np.float32(0.1))) / soft + 0.5, 0, 1)
    return mix(
        tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)),
        s.extra[0],
        np.maximum(ring, np.clip((0.03 - d) / soft + 0.5, 0, 1)),
    )


def wood(s: Spot) -> Array:
    """Grain along the surface's first axis."""
    swirl = 0.02 * noise("cloud", s.u, s.v, 3.0)
    shift = np.float32(0.37 * s.tag)
    return tint(s.base, 0.1 * noise("grain", s.v + swirl + shift, s.u + shift, 1.4) * s.fade(0.015))


def rattan(s: Spot) -> Array:
    """A lattice of canes."""
    weave = np.sin(s.u * np.float32(150)) * np.sin(s.v * np.float32(150)) * s.fade(0.02)
    grid = np.maximum(s.line(saw(s.u + s.v, 0.07), 0.014), s.line(saw(s.u - s.v, 0.07), 0.014))
    return mix(tint(s.base, 0.08 * weave), s.extra[0], 0.7 * grid)


def leaf(s: Spot) -> Array:
    """A leaf with its vein, each of its own green."""
    vein = s.line(s.u, 0.012) * 0.25
    return tint(s.base, 0.7 * (hashed(np.full_like(s.u, s.tag), 9) - 0.4) + vein + 0.8 * s.v)


FABRICS: dict[str, Texture] = {
    f.__name__: f for f in (fabric, leather, velvet, tufted, stripes, gingham, plaid, ikat, wood, rattan, leaf)
}
