"""Procedural textures: colour of a surface from its coordinates in metres, softened where a pixel is too coarse."""

from collections.abc import Callable
from functools import cache

import numpy as np

from .geometry import Array, Vector

SIZE = 512
Texture = Callable[["Spot"], Array]


class Spot:
    """What a texture is given: places, pixel footprints, colours, and its solid's tag and half sizes in metres."""

    def __init__(self, uv: Array, pixel: Array, colours: list[Array], tag: int, half: Vector, repeat: float) -> None:
        self.u, self.v = uv  # (n,) each, metres
        self.pixel = pixel  # (n,), metres a pixel covers
        self.base, self.extra = colours[0], colours[1:]  # linear RGB, (3,) each
        self.tag, self.half, self.repeat = tag, half, repeat

    def fade(self, detail: float) -> Array:
        """1 where detail of this size in metres is resolved, falling to 0 where it is not."""
        return 1 / (1 + (self.pixel * np.float32(1.2 / detail)) ** 2)

    def line(self, distance: Array, width: float) -> Array:
        """Coverage of a line of this width from the distance to its middle."""
        reach = np.maximum(self.pixel, np.float32(width * 0.25))
        full = np.minimum(np.float32(width) / reach, 1)
        return np.clip((np.float32(width / 2) - np.abs(distance)) / reach + 0.5, 0, 1) * full


@cache
def noise_tile(name: str) -> Array:
    """A tileable grey texture (SIZE, SIZE) of mean 0 and deviation 1 with the grain of the named material."""
    rng = np.random.default_rng([7, sum(map(ord, name))])
    fy, fx = np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None, :] * SIZE
    stretch = {"grain": (0.06, 1.0), "cloth": (1.0, 1.0), "cloud": (1.0, 1.0), "speckle": (1.0, 1.0)}[name]
    radius = np.sqrt((fx * stretch[1]) ** 2 + (fy * stretch[0]) ** 2) if name != "grain" else np.hypot(fx * 0.9, fy * 0.07)
    power = {"grain": 1.1, "cloth": 0.4, "cloud": 1.7, "speckle": 0.3}[name]
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) / np.maximum(radius, 2) ** power
    tile = np.fft.irfft2(spectrum, (SIZE, SIZE))
    return ((tile - tile.mean()) / tile.std()).astype(np.float32)


def noise(name: str, u: Array, v: Array, period: float) -> Array:
    """Noise at places in metres; `period` is the size of the tile in metres."""
    scale = np.float32(SIZE / period)
    x, y = (u * scale).astype(np.int32) & (SIZE - 1), (v * scale).astype(np.int32) & (SIZE - 1)
    return noise_tile(name)[y, x]


def hashed(number: Array, salt: int = 0) -> Array:
    """A repeatable value in [0, 1) for each whole number."""
    n = number.astype(np.int64) * 374761393 + salt * 668265263
    n = (n ^ (n >> 13)) * 1274126177
    return ((n ^ (n >> 16)) & 0xFFFF).astype(np.float32) / np.float32(65536)


def tint(base: Array, amount: Array) -> Array:
    """A colour scaled by (1 + amount), (3, n)."""
    return base[:, None] * np.maximum(1 + amount, np.float32(0.05))


def mix(under: Array, over: Array, cover: Array) -> Array:
    """Lays a colour (3,) or (3, n) over another by coverage (n,)."""
    over = over[:, None] if over.ndim == 1 else over
    return under + (over - under) * cover


def saw(x: Array, period: float) -> Array:
    """Signed distance to the nearest multiple of the period."""
    return x - np.round(x / np.float32(period)) * np.float32(period)


def plain(s: Spot) -> Array:
    return tint(s.base, 0.012 * noise("cloud", s.u, s.v, 3.0))


def plaster(s: Spot) -> Array:
    return tint(s.base, 0.06 * noise("cloud", s.u, s.v, 2.2) + 0.02 * noise("speckle", s.u, s.v, 1.0) * s.fade(0.01))


def concrete(s: Spot) -> Array:
    seams = np.maximum(s.line(saw(s.u, 1.4), 0.012), s.line(saw(s.v, 1.2), 0.012))
    return tint(s.base, 0.09 * noise("cloud", s.u, s.v, 2.6) - 0.2 * seams)


def board_colour(s: Spot, row: Array, along: Array, across: Array, long: float) -> tuple[Array, Array]:
    """Grain and tone of staggered boards, and the distance along to the nearest joint."""
    shift = along + hashed(row, 3) * np.float32(long)
    piece = np.floor(shift / np.float32(long))
    tone = hashed(row * 57 + piece, s.tag) - np.float32(0.5)
    grain = noise("grain", across + tone * 3, along + tone, 1.3) * s.fade(0.02)
    return np.float32(0.28) * tone + np.float32(0.07) * grain, saw(shift, long)


def planks(s: Spot) -> Array:
    wide = 0.13 * s.repeat
    row = np.floor(s.u / np.float32(wide))
    tone, joint = board_colour(s, row, s.v, s.u, 1.5)
    seam = np.maximum(s.line(saw(s.u, wide), 0.008), s.line(joint, 0.008))
    return tint(s.base, tone - 0.45 * seam)


def herringbone(s: Spot) -> Array:
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
    cell = 0.34
    a, b = np.floor(s.u / np.float32(cell)), np.floor(s.v / np.float32(cell))
    odd = ((a + b).astype(np.int32) & 1).astype(bool)
    strip = np.where(odd, s.u, s.v)
    tone = hashed(np.floor(strip / np.float32(cell / 4)) + 91 * a + 17 * b, 2) - np.float32(0.5)
    flip = np.where(odd, np.float32(0.13), np.float32(-0.13)) * s.fade(0.2)
    seam = np.maximum(s.line(saw(s.u, cell), 0.008), s.line(saw(s.v, cell), 0.008))
    return tint(s.base, 0.18 * tone * s.fade(0.08) + flip - 0.3 * seam)


def checker(s: Spot) -> Array:
    cell, pixel = np.float32(0.5), s.pixel
    a, b = (s.u + s.v) * np.float32(0.7071) / cell, (s.u - s.v) * np.float32(0.7071) / cell
    sharp = cell / np.maximum(pixel * 1.5, np.float32(0.01))
    wave = np.clip((np.abs(a % 2 - 1) - 0.5) * sharp, -0.5, 0.5) * np.clip((np.abs(b % 2 - 1) - 0.5) * sharp, -0.5, 0.5)
    vein = 0.05 * noise("cloud", s.u * 2, s.v, 1.4)
    return mix(tint(s.base, vein), s.extra[0], 0.5 + 2 * wave)


def tiles(s: Spot) -> Array:
    cell = 0.45 * s.repeat
    seam = np.maximum(s.line(saw(s.u, cell), 0.01), s.line(saw(s.v, cell), 0.01))
    return mix(tint(s.base, 0.02 * noise("cloud", s.u, s.v, 2.0)), s.extra[0], seam)


def terracotta(s: Spot) -> Array:
    cell = 0.3
    a, b = np.floor(s.u / np.float32(cell) + 0.5), np.floor(s.v / np.float32(cell) + 0.5)
    edge = np.minimum(np.abs(saw(s.u - cell / 2, cell)), np.abs(saw(s.v - cell / 2, cell)))
    seam = s.line(edge, 0.016)
    return mix(tint(s.base, 0.3 * (hashed(a * 57 + b) - 0.5)), s.extra[0], seam * 0.8)


def tatami(s: Spot) -> Array:
    long = 1.8
    odd = (np.floor(s.v / np.float32(0.9)).astype(np.int32) & 1).astype(np.float32)
    edge = np.minimum(np.abs(saw(s.u + odd * np.float32(0.9), long)), np.abs(saw(s.v, 0.9)))
    weave = 0.05 * np.sin(s.v * np.float32(220)) * s.fade(0.03) + 0.03 * noise("grain", s.v, s.u, 1.5)
    return mix(tint(s.base, weave), s.extra[0], s.line(edge, 0.055) * 0.85)


def brick(s: Spot) -> Array:
    high, wide = 0.085, 0.26
    row = np.floor(s.v / np.float32(high))
    shift = s.u + np.float32(wide / 2) * (row.astype(np.int32) & 1)
    column = np.floor(shift / np.float32(wide))
    tone = 0.5 * (hashed(row * 131 + column) - 0.5) + 0.05 * noise("cloud", s.u, s.v, 0.9)
    joint = np.minimum(np.abs(saw(shift, wide)), np.abs(saw(s.v, high)))
    return mix(tint(s.base, tone * s.fade(0.12)), s.extra[0], s.line(joint, 0.014) * 0.75)


def slats(s: Spot) -> Array:
    pitch = 0.11
    tone = 0.2 * (hashed(np.floor(s.u / np.float32(pitch))) - 0.5) + 0.04 * noise("grain", s.u, s.v, 1.5)
    return mix(tint(s.base, tone), s.extra[0], s.line(saw(s.u, pitch), 0.028) * 0.9)


def shiplap(s: Spot) -> Array:
    pitch = 0.2
    tone = 0.05 * (hashed(np.floor(s.v / np.float32(pitch))) - 0.5)
    return mix(tint(s.base, tone), s.extra[0], s.line(saw(s.v, pitch), 0.014) * 0.9)


def logs(s: Spot) -> Array:
    pitch = 0.24
    y = saw(s.v - pitch / 2, pitch) / np.float32(pitch)
    tone = 0.16 * (hashed(np.floor(s.v / np.float32(pitch)), 4) - 0.5) + 0.07 * noise("grain", s.v, s.u, 1.5)
    return mix(tint(s.base, tone + 0.35 * (0.16 - y * y * 2) + 0.15 * y), s.extra[0], s.line(saw(s.v, pitch), 0.025) * 0.8)


def scallop(s: Spot) -> Array:
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
    paper = mix(tint(s.base, 0.03 * noise("cloud", s.u, s.v, 2.0)), s.extra[0], 0.42 * damask_cover(s) * s.fade(0.12))
    return mix(paper, *panelling(s, s.extra[1], 0.85))


def wainscot(s: Spot) -> Array:
    stripe = np.clip(saw(s.u, 0.22) / np.maximum(s.pixel, 0.01), -0.5, 0.5)
    return mix(tint(s.base, 0.12 * stripe * s.fade(0.15)), *panelling(s, s.extra[0], 0.85))


def fabric(s: Spot) -> Array:
    return tint(s.base, 0.045 * noise("cloth", s.u, s.v, 1.2) * s.fade(0.012) + 0.03 * noise("cloud", s.u, s.v, 1.0))


def leather(s: Spot) -> Array:
    return tint(s.base, 0.16 * noise("cloud", s.u, s.v, 1.1))


def velvet(s: Spot) -> Array:
    return tint(s.base, 0.12 * noise("cloud", s.u * 2, s.v, 1.6))


def tufted(s: Spot) -> Array:
    a, b = saw(s.u + s.v, 0.26), saw(s.u - s.v, 0.26)
    crease = np.maximum(s.line(a, 0.02), s.line(b, 0.02)) * 0.35
    puff = 0.22 * np.cos(a * np.float32(np.pi / 0.26)) * np.cos(b * np.float32(np.pi / 0.26))
    return tint(s.base, puff - crease + 0.06 * noise("cloud", s.u, s.v, 1.2))


def stripes(s: Spot) -> Array:
    period = np.float32(0.24 * s.repeat)
    wave = np.abs(saw(s.u, float(period))) - period / 4
    return mix(tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)), s.extra[0], np.clip(wave / np.maximum(s.pixel, 0.004) + 0.5, 0, 1))


def gingham(s: Spot) -> Array:
    period = np.float32(0.12)
    soft = np.maximum(s.pixel, np.float32(0.006))
    a = np.clip((np.abs(saw(s.u, 0.12)) - period / 4) / soft + 0.5, 0, 1)
    b = np.clip((np.abs(saw(s.v, 0.12)) - period / 4) / soft + 0.5, 0, 1)
    return mix(tint(s.base, np.zeros_like(a)), s.extra[0], (a + b) / 2)


def plaid(s: Spot) -> Array:
    cover = np.zeros_like(s.u)
    for axis in (s.u, s.v):
        cover = cover + 0.3 * s.line(saw(axis, 0.26), 0.09) + 0.4 * s.line(saw(axis - np.float32(0.1), 0.26), 0.02)
    return mix(tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)), s.extra[0], np.clip(cover, 0, 1))


def ikat(s: Spot) -> Array:
    jag = 0.012 * noise("cloth", s.u, s.u, 0.6) * s.fade(0.02)
    d = np.abs(saw(s.u, 0.26)) + np.abs(saw(s.v + jag, 0.34)) * np.float32(0.75)
    soft = np.maximum(s.pixel, np.float32(0.01))
    ring = np.clip((0.035 - np.abs(d - np.float32(0.1))) / soft + 0.5, 0, 1)
    return mix(tint(s.base, 0.03 * noise("cloth", s.u, s.v, 1.2)), s.extra[0], np.maximum(ring, np.clip((0.03 - d) / soft + 0.5, 0, 1)))


def wood(s: Spot) -> Array:
    swirl = 0.02 * noise("cloud", s.u, s.v, 3.0)
    shift = np.float32(0.37 * s.tag)
    return tint(s.base, 0.1 * noise("grain", s.v + swirl + shift, s.u + shift, 1.4) * s.fade(0.015))


def rattan(s: Spot) -> Array:
    weave = np.sin(s.u * np.float32(150)) * np.sin(s.v * np.float32(150)) * s.fade(0.02)
    grid = np.maximum(s.line(saw(s.u + s.v, 0.07), 0.014), s.line(saw(s.u - s.v, 0.07), 0.014))
    return mix(tint(s.base, 0.08 * weave), s.extra[0], 0.7 * grid)


def leaf(s: Spot) -> Array:
    vein = s.line(s.u, 0.012) * 0.25
    return tint(s.base, 0.7 * (hashed(np.full_like(s.u, s.tag), 9) - 0.4) + vein + 0.8 * s.v)


TEXTURES: dict[str, Texture] = {
    f.__name__: f
    for f in (plain, plaster, concrete, planks, herringbone, parquet, checker, tiles, terracotta, tatami, brick, slats,
              shiplap, logs, scallop, damask, wainscot, fabric, leather, velvet, tufted, stripes, gingham, plaid, ikat,
              wood, rattan, leaf)
}  # fmt: skip
