"""Masks: which pixels a run may change, and how far back each of them goes.

A mask is a grey picture of the source's size. White is changed with the run's whole strength, black is kept byte for
byte, and grey goes back that share of the way: a strength for each pixel (Levin & Fried 2023, arXiv 2306.00950).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from partway.diffusion.dials import Part
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Denoiser
from partway.errors import InputError, number
from partway.pictures import images

Array = NDArray[np.float32]
PADDING = 32  # pixels around the mask that are worked on with it
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, eq=False)
class Edit:
    """A picture, its mask, and the part of both that a run works on.

    whole     the picture
    weights   (H, W) float32 in [0, 1], of the whole picture
    box       the part that is worked on
    picture   that part, at the size it is worked on
    blur      pixels over which the change fades in, inside the mask
    """

    whole: images.Picture
    weights: Array
    box: Box
    picture: images.Picture
    blur: float

    def padded(self, multiple: int) -> Array:
        """The mask (1, 1, H, W) of the part that is worked on, padded as its pixels are."""
        part = Image.fromarray(self.weights).crop(self.box).resize(self.picture.original.size, _RESIZE)
        return images.pad(np.asarray(part, np.float32).clip(0, 1)[None, None], multiple)

    def finish(self, made: Image.Image) -> Image.Image:
        """Put what was made of the part into the whole picture, through the mask."""
        alpha = Image.fromarray((self.weights > 0).astype(np.uint8) * np.uint8(255))
        if self.blur:
            soft = np.asarray(alpha.filter(ImageFilter.GaussianBlur(self.blur)), np.float32) / 255
            faded = np.clip(2 * soft - 1, 0, 1) * (self.weights > 0)  # half of it lies outside: only the inner half
            alpha = Image.fromarray((255 * faded).round().astype(np.uint8))
        whole = images.eight_bit(self.whole.original).convert("RGB")
        filled = whole.copy()
        left, top, right, bottom = self.box
        filled.paste(made.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
        return images.finish(Image.composite(filled, whole, alpha), self.whole)


_RESIZE = Image.Resampling.BILINEAR


def edit(
    picture: images.Picture,
    mask: images.Source,
    *,
    blur: float = 0,
    padding: int | None = None,
    size: tuple[int, int] = (512, 512),
) -> Edit:
    """Read a mask for a picture; with ``padding`` (pixels) work on the mask's surroundings alone, enlarged to ``size``.

    Raises InputError for a mask of another size, one that is all black, and values out of range.
    """
    weights = _grey(mask)
    height, width = weights.shape
    if (width, height) != picture.original.size:
        wanted = "x".join(map(str, picture.original.size))
        raise InputError(f"the mask is {width}x{height} and the picture {wanted}; make them the same size")
    if not weights.any():
        raise InputError("the mask is all black, so nothing may change; white marks what to change")
    number("mask_blur", blur, 0, 1000)
    if padding is None:
        return Edit(picture, weights, (0, 0, width, height), picture, blur)
    number("padding", padding, 0, images.MAX_SIDE)
    box = surroundings(weights, padding, size)
    left, top, right, bottom = box
    scale = max(1.0, min(size[0] / (right - left), size[1] / (bottom - top)))
    enlarged = (round((right - left) * scale), round((bottom - top) * scale))
    part = images.eight_bit(picture.original).convert("RGB").crop(box).resize(enlarged, Image.Resampling.LANCZOS)
    return Edit(picture, weights, box, images.read(part), blur)


def surroundings(weights: Array, padding: int, size: tuple[int, int]) -> Box:
    """The box around everything not black, ``padding`` wider on each side, grown to the proportions of ``size``.

    It stays inside the picture, whose edges limit how far it grows.
    """
    spans = []
    for axis in (1, 0):  # across, then down
        marked = np.flatnonzero(weights.any(axis=1 - axis))
        spans.append((int(marked[0]) - padding, int(marked[-1]) + 1 + padding, weights.shape[axis]))
    (x0, x1, _), (y0, y1, _) = spans
    scale = max((x1 - x0) / size[0], (y1 - y0) / size[1])
    edges = []
    for (start, stop, limit), side in zip(spans, size, strict=True):
        length = min(limit, max(stop - start, round(side * scale)))
        first = min(max(0, (start + stop - length) // 2), limit - length)
        edges.append((first, first + length))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def of_latents(weights: Array, cell: int) -> Array:
    """The mask (1, 1, h, w) of latents from that of pixels: of each, the largest of its ``cell`` x ``cell`` pixels.

    So nothing that the mask names stays because it shares a latent with something that it does not.
    """
    _, _, height, width = weights.shape
    cells: Array = weights.reshape(1, 1, height // cell, cell, width // cell, cell).max(axis=(3, 5))
    return cells


def shown(cells: Array, left: Array, batch: int) -> Array:
    """What an inpainting UNet takes beside the noisy latents: mask (B, 1, h, w), white or black, and latents behind it.

    cells: (1, 1, h, w) in [0, 1]; left: latents (1 or B, C, h, w) of the picture without what the mask hides.
    """
    channels = [(cells >= 0.5).astype(np.float32), left]
    return np.concatenate([np.broadcast_to(one, (batch, *one.shape[1:])) for one in channels], axis=1)


def keeping(denoise: Denoiser, known: Array, noise: Array, weights: Array, part: Part) -> Denoiser:
    """A denoiser that knows the answer where the mask is black, for any sampler.

    There the network sees the source at the level's noise, and the estimate of x0 is the source itself, so every
    sampler, stochastic and multistep ones too, arrives at exactly it. A grey latent is held like that until as many
    steps are left as its share of them; the step in which it is let go counts by the fraction.

    known: clean latents (B, C, h, w); noise: the run's start noise, alike; weights: (1, 1, h, w) in [0, 1].
    """
    steps = part.schedule.steps
    left = [part.covered, *range(steps - 1, -1, -1)]
    whole = min(1.0, part.covered)

    def masked(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        here = float(np.interp(level.sigma, part.schedule.sigmas[::-1], left[::-1]))
        free = np.clip((weights * part.covered - here) / whole + 1, 0, 1).astype(np.float32)
        seen = np.where(free > 0, x, known + level.sigma * noise)
        return known + free * (denoise(seen, level, boost) - known)

    return masked


def _grey(mask: images.Source) -> Array:
    """A mask of any kind of picture as (H, W) float32 in [0, 1]."""
    pixels = images.read(mask).pixels
    grey: Array = (pixels.mean(axis=1)[0] / 2 + 0.5).clip(0, 1)
    grey[grey < 1e-6] = 0  # black is exactly that
    return grey
