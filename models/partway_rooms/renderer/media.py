"""Media: what a photographer, a painter or a pixel artist makes of the same view."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .geometry import Array
from .textures import noise

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Drawing(NamedTuple):
    """The view to be drawn: colours (H, W, 3) in [0, 1], and owner, depth (H, W), normal (3, H, W) of each pixel."""

    colour: Array
    owner: NDArray[np.int16]
    depth: Array
    normal: Array


Medium = Callable[[Drawing, np.random.Generator], Array]


def blur(a: Array, radius: float) -> Array:
    """Gaussian blur of (H, W) or (H, W, 3) in [0, 1], at the precision of a screen."""
    if a.ndim == 2:
        return _box(a, radius)
    picture = Image.fromarray((np.clip(a, 0, 1) * 255 + 0.5).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def _box(a: Array, radius: float) -> Array:
    """Two box blurs of (H, W), close to a Gaussian."""
    r = max(int(radius), 1)
    for _ in range(2):
        for axis in (0, 1):
            pad = [(0, 0)] * a.ndim
            pad[axis] = (r + 1, r)
            total = np.pad(a, pad, mode="edge").cumsum(axis=axis, dtype=np.float64)
            size = a.shape[axis]
            upper = np.take(total, np.arange(2 * r + 1, 2 * r + 1 + size), axis=axis)
            a = ((upper - np.take(total, np.arange(size), axis=axis)) / (2 * r + 1)).astype(np.float32)
    return a


def outlines(d: Drawing) -> Array:
    """Where one thing ends and another begins, (H, W) in [0, 1]: creases count half."""
    out = np.zeros(d.depth.shape, np.float32)
    flat = 1 / d.depth
    for axis in (0, 1):
        jump = np.abs(np.diff(flat, axis=axis)) / np.minimum(*_pair(flat, axis)) > 0.05
        a, b = _pair(d.normal, axis + 1)
        fold = (a * b).sum(axis=0) < 0.8
        line = np.maximum(jump.astype(np.float32), 0.55 * fold * (np.diff(d.owner, axis=axis) != 0))
        line = np.maximum(line, 0.35 * (np.diff(d.owner, axis=axis) != 0))
        out[:-1, :] = np.maximum(out[:-1, :], line) if axis == 0 else out[:-1, :]
        out[:, :-1] = np.maximum(out[:, :-1], line) if axis == 1 else out[:, :-1]
    return out


def _pair(a: Array, axis: int) -> tuple[Array, Array]:
    """Neighbours along an axis."""
    size = a.shape[axis]
    return a.take(range(size - 1), axis=axis), a.take(range(1, size), axis=axis)


def grid(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Coordinates for noise: one unit a pixel, shifted at random."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return x + np.float32(rng.integers(512)), y + np.float32(rng.integers(512))


def warp(a: Array, x: Array, y: Array, amount: float, period: float) -> Array:
    """Moves pixels by smooth noise: an unsteady hand."""
    height, width = a.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    dx = np.round(amount * noise("cloud", x, y, period)).astype(int)
    dy = np.round(amount * noise("cloud", y, x, period)).astype(int)
    return a[np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)]


def saturate(c: Array, amount: float) -> Array:
    """Scales the distance of each colour from its grey."""
    grey = (c @ LUMA)[..., None]
    return grey + (c - grey) * np.float32(amount)


def photo(d: Drawing, rng: np.random.Generator) -> Array:
    """A glow around bright places, a vignette and sensor noise."""
    height, width = d.depth.shape
    glow = blur(np.clip(d.colour - 0.72, 0, 1) * 2, width / 24)
    out = d.colour + 0.22 * glow * (1 - d.colour)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    out *= (1 - np.float32(0.13) * (x * x + y * y))[..., None]
    return out + rng.standard_normal((height, width, 1), np.float32) * np.float32(0.006)


def kuwahara(c: Array, radius: int) -> Array:
    """Each pixel takes the mean of the calmest of the four squares it touches (Kuwahara et al., 1976)."""
    r = radius
    padded = np.pad(c, ((r, r), (r, r), (0, 0)), mode="reflect")
    luma = padded @ LUMA
    stack = np.concatenate([padded, luma[..., None], (luma * luma)[..., None]], axis=2)
    total = np.pad(stack.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    k = r + 1
    mean = (total[k:, k:] - total[:-k, k:] - total[k:, :-k] + total[:-k, :-k]) / (k * k)
    mean = mean.astype(np.float32)
    height, width = c.shape[:2]
    best, out = np.full((height, width), np.inf, np.float32), np.empty_like(c)
    for dy in (0, r):
        for dx in (0, r):
            m = mean[dy : dy + height, dx : dx + width]
            spread = m[..., 4] - m[..., 3] ** 2
            better = spread < best
            best = np.where(better, spread, best)
            out[better] = m[..., :3][better]
    return out


def watercolour(d: Drawing, rng: np.random.Generator) -> Array:
    """Pale washes with pooled edges on rough paper, left white at the rim."""
    x, y = grid(d.depth.shape, rng)
    c = kuwahara(warp(d.colour, x, y, 1.3, 130), 4)
    luma = c @ LUMA
    pooled = np.clip(blur(luma, 3) - luma, -0.1, 0.1)
    wash = 0.06 * noise("cloud", x, y, 200) + 0.02 * noise("speckle", x, y, 300)
    c = saturate(c, 1.15) * 0.78 + 0.24
    c = c - (1.1 * np.abs(pooled) + 0.5 * np.abs(wash) * (1 - luma))[..., None] + 0.5 * wash[..., None] * 0.5
    height, width = d.depth.shape
    across, along = x - x.min(), y - y.min()
    rim = np.minimum(np.minimum(across, width - 1 - across), np.minimum(along, height - 1 - along))
    rim = np.clip((rim - width * 0.03 - width * 0.009 * noise("cloud", x, y, 160)) / 2.5, 0, 1)[..., None]
    paper = np.array([0.985, 0.975, 0.95], np.float32) + 0.012 * noise("speckle", x, y, 400)[..., None]
    line = 0.28 * warp(outlines(d), x, y, 1.3, 130)[..., None]
    return paper + (np.minimum(c, 1) * (1 - line) * paper - paper) * rim


def pencil(d: Drawing, rng: np.random.Generator) -> Array:
    """Graphite outlines and hatching with a breath of colour on paper."""
    x, y = grid(d.depth.shape, rng)
    luma = kuwahara(d.colour, 2) @ LUMA
    low, high = np.quantile(luma[::4, ::4], [0.02, 0.98])
    tone = np.clip((luma - low) / (high - low + 1e-3), 0, 1) * np.float32(0.6 + 0.4 * high) + np.float32(0.15 * high)
    hatch = np.sin((x + y) * np.float32(1.1) + 0.6 * noise("cloud", x, y, 120))
    cross = np.sin((x - y) * np.float32(1.1) + 0.6 * noise("cloud", y, x, 120))
    dark = np.clip(0.8 - tone, 0, 1)
    shade = 0.56 * dark + 0.07 * hatch * np.clip(dark * 2.2, 0, 1) + 0.06 * cross * np.clip((dark - 0.35) * 2.5, 0, 1)
    line = np.maximum(outlines(d), 0.8 * warp(outlines(d), x, y, 1.5, 90))
    line = np.maximum(line, np.clip((np.abs(luma - blur(luma, 2)) - 0.02) * 7, 0, 0.5))
    ink = np.clip(shade + 0.62 * line * (0.8 + 0.1 * noise("speckle", x, y, 300)), 0, 0.92)[..., None]
    hue = saturate(kuwahara(d.colour, 5), 1.3)
    hue = np.clip(hue / (hue.max(axis=2, keepdims=True) + 0.05), 0, 1) * 0.34 + 0.66
    paper = np.array([0.97, 0.96, 0.93], np.float32) + 0.01 * noise("speckle", x, y, 400)[..., None]
    return paper * hue * (1 - ink) + np.array([0.16, 0.16, 0.18], np.float32) * ink


def oil(d: Drawing, rng: np.random.Generator) -> Array:
    """Broad saturated strokes with a relief of paint."""
    x, y = grid(d.depth.shape, rng)
    c = warp(kuwahara(warp(d.colour, x, y, 1.1, 60), 4), x, y, 0.8, 36)
    luma = blur(c @ LUMA, 5)
    gy, gx = np.gradient(luma)
    along = np.arctan2(gy, gx + np.float32(1e-4)) + np.float32(np.pi / 2)
    turned = np.round(along * np.float32(4 / np.pi)) * np.float32(np.pi / 4)
    across = x * np.cos(turned) + y * np.sin(turned)
    relief = noise("grain", across, (y * np.cos(turned) - x * np.sin(turned)) * np.float32(0.9), 300)
    c = saturate((c - 0.5) * 1.12 + 0.53, 1.3)
    dabs = np.float32(0.05) * noise("cloth", x, y, 900)
    c = np.clip(c + dabs[..., None] * 0.5, 0, 1) * (1 - 0.25 * outlines(d))[..., None]
    return c * (1 + 0.045 * relief[..., None]) + 0.006 * relief[..., None]


BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - np.float32(0.47)


def pixel_art(d: Drawing, rng: np.random.Generator) -> Array:
    """Blocks of four pixels, few colours, ordered dither and dark outlines."""
    height, width = d.depth.shape
    block, levels = max(width // 64, 1), np.float32(7)
    rows, columns = height // block, width // block

    def pooled(a: Array) -> Array:
        cells = a[: rows * block, : columns * block].reshape(rows, block, columns, block, *a.shape[2:])
        return cells.mean(axis=(1, 3), dtype=np.float32)

    c = saturate(pooled(d.colour), 1.35)
    c = (c - 0.5) * 1.1 + 0.5
    line = np.clip(pooled(outlines(d)) * 2.2 - 0.25, 0, 0.62)[..., None]
    dither = np.tile(BAYER, (rows // 4 + 1, columns // 4 + 1))[:rows, :columns, None]
    c = np.round(np.clip(c, 0, 1) * levels + 0.3 * dither) / levels * (1 - line)
    big = c.repeat(block, axis=0).repeat(block, axis=1)
    return np.pad(big, ((0, height - big.shape[0]), (0, width - big.shape[1]), (0, 0)), mode="edge")


MEDIUM: dict[str, Medium] = {
    "photo": photo,
    "watercolour": watercolour,
    "pencil sketch": pencil,
    "oil painting": oil,
    "pixel art": pixel_art,
}
