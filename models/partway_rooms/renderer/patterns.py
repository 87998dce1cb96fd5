"""Textures that are pictures of their own: rugs, books, paintings, curtains, the view from the window."""

import numpy as np

from .geometry import Array
from .textures import Spot, Texture, hashed, mix, noise, saw, tint


def pile(s: Spot) -> Array:
    """Soft unevenness of a rug."""
    return 0.05 * noise("cloth", s.u, s.v, 1.0) * s.fade(0.015)


def step(s: Spot, distance: Array) -> Array:
    """Coverage of the side where the distance is negative."""
    return np.clip(0.5 - distance / np.maximum(s.pixel, np.float32(0.006)), 0, 1)


def diamonds(s: Spot) -> Array:
    """A grid of thin lines on the slant."""
    cell = 0.5
    d = np.minimum(np.abs(saw(s.u + s.v, cell)), np.abs(saw(s.u - s.v, cell)))
    return mix(tint(s.base, pile(s)), s.extra[0], 0.8 * s.line(d, 0.026))


def circles(s: Spot) -> Array:
    """Rings and discs in three colours, here and there."""
    cell = np.float32(0.5)
    a, b = np.round(s.u / cell), np.round(s.v / cell)
    d = np.sqrt((s.u - a * cell) ** 2 + (s.v - b * cell) ** 2)
    out, pick = tint(s.base, pile(s)), hashed(a * 7 + b * 13, s.tag)
    for k, colour in enumerate(s.extra):
        out = mix(out, colour, step(s, d - np.float32(0.21)) * ((pick * 3).astype(np.int32) == k))
    return mix(out, s.base, step(s, d - np.float32(0.09)))


def deco(s: Spot) -> Array:
    """Rays and arcs from a point beyond the edge."""
    angle = np.arctan2(s.v + np.float32(0.7), s.u) * np.float32(14 / np.pi)
    radius = np.sqrt(s.u**2 + (s.v + np.float32(0.7)) ** 2)
    fan = s.line(saw(angle, 1.0) * radius * np.float32(0.2), 0.02) * step(s, np.float32(0.35) - radius)
    ring = sum(s.line(radius - np.float32(r), 0.025) for r in (0.35, 0.8, 1.25))
    return mix(tint(s.base, pile(s)), s.extra[0], np.clip(fan + ring, 0, 1))


def braid(s: Spot) -> Array:
    """Braided rings, a few of them coloured."""
    ring = np.sqrt(s.u**2 + (s.v * np.float32(1.25)) ** 2)
    band = np.floor(ring / np.float32(0.12)).astype(np.int32)
    out = tint(s.base, pile(s) + 0.08 * (hashed(band) - 0.5))
    fade = 0.75 * s.fade(0.08)
    out = mix(out, s.extra[0], fade * (band % 5 == 2))
    return mix(out, s.extra[1], fade * (band % 5 == 4))


def persian(s: Spot) -> Array:
    """Border bands, a field of small flowers and a medallion."""
    half_u, half_v = np.float32(s.half[0]), np.float32(s.half[2])
    edge = np.minimum(half_u - np.abs(s.u), half_v - np.abs(s.v))
    if half_u == half_v:  # the round ones
        edge = half_u - np.sqrt(s.u**2 + s.v**2)
    blue, gold, ivory = s.extra
    r, a = np.sqrt((s.u * 0.8) ** 2 + s.v**2), np.arctan2(s.v, s.u)
    flowers = np.cos(s.u * np.float32(26)) * np.cos(s.v * np.float32(26)) * s.fade(0.08)
    out = mix(tint(s.base, pile(s)), gold, np.clip((flowers - 0.45) * 3, 0, 0.7))
    out = mix(out, blue, step(s, r - 0.42 - 0.05 * np.cos(a * 8)))
    out = mix(out, gold, s.line(r - 0.42 - 0.05 * np.cos(a * 8), 0.03))
    out = mix(out, ivory, step(s, r - 0.2 - 0.04 * np.cos(a * 6)) * 0.9)
    out = mix(out, s.base, step(s, r - 0.11))
    band = 0.5 + 0.5 * np.cos((s.u + s.v) * np.float32(30)) * s.fade(0.06)
    out = mix(out, mix(tint(blue, pile(s)), gold, 0.7 * np.clip(band * 2 - 1, 0, 1)), step(s, edge - np.float32(0.2)))
    out = mix(out, ivory, s.line(edge - np.float32(0.2), 0.03))
    return mix(out, s.base, step(s, edge - np.float32(0.04)))


def curtain(s: Spot) -> Array:
    """Folds that hang straight."""
    fold = np.sin(s.u * np.float32(55)) + 0.4 * np.sin(s.u * np.float32(23) + 1)
    return tint(s.base, 0.13 * fold * s.fade(0.05))


def books(s: Spot) -> Array:
    """Spines of changing width and height in muted colours drawn from the accents."""
    wide = np.float32(0.045)
    x = s.u + np.float32(hashed(np.array([s.tag]))[0])
    spine = np.floor(x / wide)
    pick = hashed(spine, s.tag % 997)
    out = np.empty((3, len(x)), np.float32)
    choice = (pick * len(s.extra)).astype(np.int32)
    out[:] = np.stack(s.extra, axis=1)[:, choice]
    out *= 0.6 + 0.7 * hashed(spine, 11)
    title = s.line(s.v - 0.02 - 0.05 * hashed(spine, 12), 0.02) * s.line(saw(x - wide / 2, float(wide)), 0.03)
    out = mix(out, np.array([0.8, 0.75, 0.6], np.float32), 0.5 * title)
    out = out * (1 - 0.6 * s.line(saw(x, float(wide)), 0.007))
    short = s.v > s.half[1] * (0.72 + 0.28 * hashed(spine, 13))
    return np.where(short, s.base[:, None] * np.float32(0.25), out).astype(np.float32)


def art(s: Spot) -> Array:
    """A framed abstract: a horizon, discs or blocks of the room's accent colours, in a mat."""
    rng = np.random.default_rng([s.tag, 5])
    half_u, half_v = np.float32(s.half[0]), np.float32(s.half[1])
    x, y = s.u / half_u, s.v / half_v
    picks = [s.extra[int(i)] for i in rng.permutation(len(s.extra))[:3]]
    out = tint(picks[0] * 0.4 + 0.5, 0.05 * noise("cloud", s.u, s.v, 0.7))
    form = int(rng.integers(4))
    soft = s.pixel / half_u * 1.2 + np.float32(0.01)

    def below(d: Array) -> Array:
        return np.clip(0.5 - d / soft, 0, 1)

    if form == 0:
        for k in range(3):
            ridge = 0.15 * np.sin(x * rng.uniform(2, 5) + rng.uniform(0, 6)) + 0.3 - 0.35 * k
            out = mix(out, picks[k] * np.float32(1 - 0.2 * k), below(y - ridge))
        out = mix(out, picks[1] * 0.3 + 0.6, below(np.hypot(x - 0.3, (y - 0.6) * half_v / half_u) - 0.14))
    elif form == 1:
        for k in range(3):
            cx, cy, r = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.25, 0.5)
            out = mix(out, picks[k], below(np.hypot(x - cx, (y - cy) * half_v / half_u) - r))
    elif form == 2:
        for k in range(3):
            cx, cy = rng.uniform(-0.7, 0.3, 2)
            w, h = rng.uniform(0.4, 0.9, 2)
            out = mix(out, picks[k], below(np.maximum(np.abs(x - cx) - w / 2, np.abs(y - cy) - h / 2)) * 0.9)
    else:
        for k in range(5):
            lean = rng.uniform(-0.8, 0.8)
            stem = (
                np.abs(x - lean * (y + 0.8) * 0.5) - 0.03 - 0.16 * np.exp(-(((y - rng.uniform(-0.1, 0.7)) / 0.25) ** 2))
            )
            out = mix(out, picks[k % 3] * np.float32(0.8), below(np.maximum(stem, y - 0.7)))
    mat = below(0.8 - np.maximum(np.abs(x), np.abs(y)))
    return mix(out, np.array([0.86, 0.85, 0.81], np.float32), mat if rng.random() < 0.7 else mat * 0)


def screen(s: Spot) -> Array:
    """A dark screen with a faint sheen."""
    return tint(s.base, 0.4 * (s.u + s.v))


PATTERNS: dict[str, Texture] = {
    f.__name__: f for f in (diamonds, circles, deco, braid, persian, curtain, books, art, screen)
}
