"""Masks: which pixels a run may change, and with what share of its strength.

A mask is a picture of the source's size; `partway.pictures.meaning` says what it means. A white pixel is changed with
the run's strength, a black one keeps its bytes, and a grey one is changed with that share of the strength: a strength
for each pixel (Levin & Fried 2023, arXiv 2306.00950).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from partway.diffusion.dials import Part
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.sampling import Denoiser
from partway.errors import MAX_SIDE, InputError, number
from partway.pictures import images, meaning
from partway.support.warning import warn

Array = NDArray[np.float32]
PADDING = 32  # pixels around the mask that a run on the mask alone also sees
_MUCH = 0.5  # of white, or of a result that shows
_FEW = 64  # pixels of one latent
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, eq=False)
class Edit:
    """A picture, its mask, and the part of both that a run works on.

    source    the picture
    weights   its mask, (H, W) float32 in [0, 1]
    box       the part of the source that a run works on
    picture   that part, at the size at which the run works on it
    blur      pixels inside the mask over which the change fades in
    remarks   what a user should know: how the mask was read, and where it lets next to nothing change
    """

    source: images.Picture
    weights: Array
    box: Box
    picture: images.Picture
    blur: float
    remarks: tuple[str, ...] = ()

    @cached_property
    def shown(self) -> Image.Image:
        """How much of a result shows, in mode "L": all where the mask is not black, but for what fades in there."""
        marked = Image.fromarray((self.weights > 0).astype(np.uint8) * np.uint8(255))
        if not self.blur:
            return marked
        soft = np.asarray(marked.filter(ImageFilter.GaussianBlur(self.blur)), np.float32) / 255
        faded = np.clip(2 * soft - 1, 0, 1) * (self.weights > 0)  # of the blurred edge, only the half inside
        return Image.fromarray((255 * faded).round().astype(np.uint8))

    def padded(self, multiple: int) -> Array:
        """The mask (1, 1, H, W) of ``picture``, padded as its pixels are."""
        size = self.picture.original.size
        part = Image.fromarray(self.weights).crop(self.box).resize(size, Image.Resampling.BILINEAR)
        return images.pad(np.asarray(part, np.float32).clip(0, 1)[None, None], multiple)

    def finish(self, made: Image.Image) -> Image.Image:
        """Paste ``made``, a run's result for ``picture``, into the source through the mask."""
        source = images.eight_bit(self.source.original).convert("RGB")
        filled = source.copy()
        left, top, right, bottom = self.box
        filled.paste(made.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
        return images.finish(Image.composite(filled, source, self.shown), self.source)


def edit(
    picture: images.Picture,
    mask: images.Source,
    *,
    blur: float = 0,
    padding: int | None = None,
    size: tuple[int, int] = (512, 512),
) -> Edit:
    """Read a mask for a picture.

    With ``padding`` (pixels), a run works on the `surroundings` of what is not black, enlarged to ``size`` (width,
    height) where they are smaller. What the mask was taken for, and that it lets next to nothing change, is a
    `partway.PartwayWarning` and a remark of the edit. Raises InputError for a mask of another size, for one that lets
    nothing change, and for values out of range.
    """
    weights, remark = meaning.read(mask)
    height, width = weights.shape
    if (width, height) != picture.original.size:
        wanted = "x".join(map(str, picture.original.size))
        raise InputError(f"the mask is {width}x{height} and the picture {wanted}; make them the same size")
    if not weights.any():
        raise InputError("the mask is all black, so nothing may change; white marks what to change")
    number("mask_blur", blur, 0, 1000)
    made = Edit(picture, weights, (0, 0, width, height), picture, blur)
    made = replace(made, remarks=tuple(filter(None, (remark, *_remarks(made)))))
    for one in made.remarks:
        warn(one)
    if padding is None:
        return made
    number("padding", padding, 0, MAX_SIDE)
    box = surroundings(weights, padding, size)
    left, top, right, bottom = box
    scale = max(1.0, min(size[0] / (right - left), size[1] / (bottom - top)))
    enlarged = (round((right - left) * scale), round((bottom - top) * scale))
    part = images.eight_bit(picture.original).convert("RGB").crop(box).resize(enlarged, Image.Resampling.LANCZOS)
    return replace(made, box=box, picture=images.read(part))


def _remarks(made: Edit) -> Iterator[str]:
    """What a user should know of a mask that lets little change; raises InputError for one that lets nothing."""
    shown = np.asarray(made.shown)
    if not shown.any():
        raise InputError(f"mask_blur {made.blur:g} is wider than the mask, so nothing would change; take less")
    if shown.max() < _MUCH * 255:
        yield f"mask_blur {made.blur:g} is nearly as wide as the mask: at most {shown.max() / 2.55:.0f} % will show"
    brightest = float(made.weights[shown > 0].max())
    if brightest < _MUCH:
        yield f"the brightest of the mask is {100 * brightest:.1f} % of white, and no more of the strength counts"
    if np.count_nonzero(shown) < _FEW:
        yield f"the mask marks {np.count_nonzero(shown)} of {shown.size} pixels, so hardly anything will change"
    alpha = made.source.alpha
    if alpha is not None and not np.asarray(alpha)[shown > 0].any():
        yield "all that the mask marks is transparent in the picture, and stays so"


def surroundings(weights: Array, padding: int, size: tuple[int, int]) -> Box:
    """The box around everything not black, ``padding`` wider on each side, with the proportions of ``size``.

    The picture's edges limit it, so that it may keep other proportions there.
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


def of_latents(weights: Array, vae_scale_factor: int) -> Array:
    """The mask (1, 1, h, w) of latents: for each latent, the largest weight (1, 1, H, W) of its pixels.

    ``vae_scale_factor`` pixels in each direction make a latent. So a latent that the mask covers in part may change.
    """
    _, _, height, width = weights.shape
    h, w = height // vae_scale_factor, width // vae_scale_factor
    latents: Array = weights.reshape(1, 1, h, vae_scale_factor, w, vae_scale_factor).max(axis=(3, 5))
    return latents


def inpainting_channels(weights: Array, masked_latents: Array, batch: int) -> Array:
    """The input channels of an inpainting UNet after the noisy latents: mask, white or black, and masked latents.

    weights: (1, 1, h, w) in [0, 1]; masked_latents: (1 or B, C, h, w), of the picture without what the mask covers.
    The result is (batch, 1 + C, h, w).
    """
    channels = [(weights >= 0.5).astype(np.float32), masked_latents]
    return np.concatenate([np.broadcast_to(one, (batch, *one.shape[1:])) for one in channels], axis=1)


def keeping(denoise: Denoiser, known: Array, noise: Array, weights: Array, part: Part) -> Denoiser:
    """A denoiser whose estimate of x0 is the source where the mask is black; it suits every sampler.

    Where the mask is black, the network gets the source with the noise of the level, and the estimate is the source
    itself, so that every sampler, stochastic and multistep ones too, ends exactly at the source. A grey latent is
    treated so until no more steps are left than its share of all; in the step in which that happens, the estimate is
    a mean of both.

    known: the source's clean latents (B, C, h, w); noise: the run's start noise, of the same shape; weights:
    (1, 1, h, w) in [0, 1].
    """
    steps = part.schedule.steps
    steps_left = [part.covered, *range(steps - 1, -1, -1)]
    first = min(1.0, part.covered)  # the length of the first step, in steps

    def masked(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        left = float(np.interp(level.sigma, part.schedule.sigmas[::-1], steps_left[::-1]))
        free = np.clip((weights * part.covered - left) / first + 1, 0, 1).astype(np.float32)
        x = np.where(free > 0, x, known + level.sigma * noise)
        return known + free * (denoise(x, level, boost) - known)

    return masked
