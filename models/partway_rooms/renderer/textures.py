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
    radius = np.hypot(fx * 0.9, fy * 0.07) if name == "grain" else np.hypot(fx, fy)
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
