"""Networks on pictures of any size: overlapping tiles, blended where they overlap.

Blended in every step (Bar-Tal et al. 2023, MultiDiffusion, arXiv 2302.08113), tiles agree on what lies between them,
so no seam shows, and memory beyond the latents does not grow with the picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.errors import InputError
from partway.graphs import VAES
from partway.model.fixed import fixed_size
from partway.model.package import Package
from partway.settings import Settings

Array = NDArray[np.float32]


class Tiling(NamedTuple):
    """Tiles of so many latents, and by how many they overlap at least.

    ``exact``: the network takes this size alone, so that smaller pictures are extended to it.
    """

    height: int
    width: int
    overlap: int
    exact: bool = False

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width, in latents, of each input that the network is given for latents of this size."""
        return (self.height, self.width) if self.exact else (min(height, self.height), min(width, self.width))

    def needed(self, height: int, width: int) -> int:
        """How many tiles cover latents of this size."""
        return len(starts(height, self.height, self.overlap)) * len(starts(width, self.width, self.overlap))


WHOLE = Tiling(2**31, 2**31, 0)
"""A single tile, whatever the picture."""


class Tilings(NamedTuple):
    """How a run's pictures are cut for the UNet, and for the VAE's encoder and decoder."""

    unet: Tiling = WHOLE
    encoder: Tiling = WHOLE
    decoder: Tiling = WHOLE

    @classmethod
    def of(cls, package: Package, settings: Settings) -> "Tilings":
        """Those of a model's networks: the one size that a graph is fixed to, else the tiles of the settings."""
        factor = package.vae_scale_factor
        encoder, decoder = VAES[settings.vae]
        vae_tile = settings.vae_tile or settings.tile
        return cls(
            _tiling(package, "unet", settings.tile, settings.tile_overlap),
            _tiling(package, encoder, vae_tile, settings.tile_overlap, reads=factor),
            _tiling(package, decoder, vae_tile, settings.tile_overlap),
        )


UNTILED = Tilings()


def _tiling(package: Package, network: str, tile: int | None, overlap: int | None, *, reads: int = 1) -> Tiling:
    """The tiling of a network, ``reads`` of whose pixels make a latent; ``tile`` and ``overlap`` are in pixels."""
    factor = package.vae_scale_factor
    file = package.networks.get(network)
    fixed = fixed_size(file) if isinstance(file, Path) else None  # what is built takes any size, and what is not there
    if fixed is not None:
        height, width = (side // reads for side in fixed)
    elif tile is not None:
        height = width = tile // factor
    else:
        return WHOLE
    side = min(height, width)
    return Tiling(height, width, side // 4 if overlap is None else min(overlap // factor, side // 2), fixed is not None)


def check(package: Package, settings: Settings) -> None:
    """Raise `InputError` for tiles that a model's networks cannot take."""
    for name, tile in (("tile", settings.tile), ("vae_tile", settings.vae_tile)):
        if tile is not None and tile % package.multiple:
            raise InputError(f"{name} must be a multiple of {package.multiple} for this model, not {tile}")


def chosen(package: Package, settings: Settings, size: tuple[int, int]) -> Settings:
    """The settings with a tile for a picture of this size in pixels, where they leave it to be chosen (0)."""
    if settings.tile != 0:
        return settings
    own, factor = own_tile(package), package.vae_scale_factor
    height, width = (side * factor for side in package.latent_shape(*size)[2:])
    overlap = own // 8 if settings.tile_overlap is None else min(settings.tile_overlap, own // 2)
    return replace(settings, tile=fitting(height, width, own, overlap, package.multiple), tile_overlap=overlap)


def own_tile(package: Package) -> int:
    """A tile of the size that the model was made for, in pixels."""
    return max(1, min(package.size) // package.multiple) * package.multiple


def fitting(height: int, width: int, own: int, overlap: int, step: int) -> int:
    """The side of square tiles that a network has least work with on a picture of this size, all in pixels.

    It is the network's ``own`` or, in steps of so many, up to a quarter more.
    """

    def area(side: int) -> int:
        tiling = Tiling(side, side, overlap)
        return tiling.needed(height, width) * prod(tiling.input_size(height, width))

    return min(range(own, own + own // 4 + 1, step), key=area)


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles of a ``side`` begin that cover ``length``, evenly spread and overlapping by ``overlap`` or more."""
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def window(height: int, width: int, overlap: int) -> Array:
    """Weights (height, width) of a tile, in (0, 1]: 1 in the middle, falling evenly over ``overlap`` at the edges."""
    sides = [
        np.minimum(1.0, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(overlap, 0.5))
        for n in (height, width)
    ]
    weights: Array = np.outer(*sides).astype(np.float32)
    return weights


def blended(
    run: Callable[..., Array],
    x: Array,
    tiling: Tiling,
    *,
    reads: int = 1,
    writes: int = 1,
    beside: Sequence[Array] = (),
) -> Array:
    """``run`` on every tile of x (B, C, H, W), blended.

    reads: how many of x's pixels make a latent (8 for a VAE's encoder); writes: how many of the result's do (8 for
    its decoder). What ``run`` is given and returns has the batch of x. ``beside``: pictures of the same place, so many
    times as large each, whose part of the tile ``run`` is given after it.
    """
    height, width = (side // reads for side in x.shape[2:])
    given = [(x, reads), *((one, one.shape[2] // height) for one in beside)]
    if tiling.exact:
        short = [max(0, tiling.height - height), max(0, tiling.width - width)]
        if any(short):
            x, *beside = (
                np.pad(one, [(0, 0), (0, 0), *((0, extra * times) for extra in short)], mode="edge")
                for one, times in given
            )
            extended = blended(run, x, tiling, reads=reads, writes=writes, beside=beside)
            return extended[:, :, : height * writes, : width * writes]
    h, w = min(tiling.height, height), min(tiling.width, width)
    tops, lefts = starts(height, h, tiling.overlap), starts(width, w, tiling.overlap)
    if len(tops) == len(lefts) == 1:
        return run(x, *beside)
    weights = window(h * writes, w * writes, tiling.overlap * writes)
    total: Array | None = None
    mass = np.zeros((height * writes, width * writes), np.float32)
    for top, left in product(tops, lefts):
        made = run(*(_part(one, times, top, left, (h, w)) for one, times in given))
        if total is None:
            total = np.zeros((*made.shape[:2], *mass.shape), np.float32)
        place = np.s_[top * writes : (top + h) * writes, left * writes : (left + w) * writes]
        total[:, :, *place] += weights * made
        mass[place] += weights
    assert total is not None
    total /= mass
    return total


def _part(x: Array, times: int, top: int, left: int, size: tuple[int, int]) -> Array:
    """The tile of x, of which so many pixels make a latent."""
    rows, columns = (
        slice(start * times, (start + side) * times) for start, side in zip((top, left), size, strict=True)
    )
    return np.ascontiguousarray(x[:, :, rows, columns])
