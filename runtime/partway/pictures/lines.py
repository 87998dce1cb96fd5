"""Lines of a picture: Canny's edge detector (1986) in whole numbers, with the steps and ties of OpenCV's."""

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 100, 200  # what published line ControlNets were trained with
_TAN_22 = 13573  # tan(22.5 degrees) in 1/32768


def _gradients(grey: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sobel's differences along x and y of (H, W); the rim is repeated."""
    a = np.pad(grey, 1, mode="edge")
    across, along = a[:, 2:] - a[:, :-2], a[2:] - a[:-2]
    return across[:-2] + 2 * across[1:-1] + across[2:], along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]


def _ridges(size: NDArray[np.int32], dx: NDArray[np.int32], dy: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where the gradient's size is the largest along its own direction, one of four."""
    padded = np.pad(size, 1)

    def beside(down: int, right: int) -> NDArray[np.int32]:
        height, width = size.shape
        return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]

    x, y = np.abs(dx).astype(np.int64), np.abs(dy).astype(np.int64) << 15
    flat = y < x * _TAN_22
    steep = y > x * _TAN_22 + (x << 16)
    falling = (dx ^ dy) < 0
    slanted = np.where(
        falling,
        (size > beside(-1, 1)) & (size > beside(1, -1)),
        (size > beside(-1, -1)) & (size > beside(1, 1)),
    )
    level = (size > beside(0, -1)) & (size >= beside(0, 1))
    upright = (size > beside(-1, 0)) & (size >= beside(1, 0))
    return np.where(flat, level, np.where(steep, upright, slanted))


def _grow(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strong pixels and all weak ones that a chain of weak ones joins to them, corners counted."""
    height, width = strong.shape
    found, left = np.pad(strong, 1).ravel(), np.pad(weak & ~strong, 1).ravel()
    stride = width + 2
    around = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])
    front = np.flatnonzero(found)
    while front.size:
        near = (front[:, None] + around).ravel()
        front = np.unique(near[left[near]])
        found[front], left[front] = True, False
    return found.reshape(height + 2, stride)[1:-1, 1:-1]


def canny(pixels: NDArray[np.uint8], low: int = LOW, high: int = HIGH) -> NDArray[np.uint8]:
    """White lines, (H, W) of 0 and 255, where a picture (H, W, 3) has edges; each pixel's strongest channel counts.

    low, high: sizes of the gradient, |dx| + |dy| of Sobel's 3x3 differences, from which a pixel may join a line and
    from which it begins one
    """
    both = [_gradients(pixels[..., channel].astype(np.int32)) for channel in range(pixels.shape[2])]
    sizes = np.stack([np.abs(dx) + np.abs(dy) for dx, dy in both])
    chosen = sizes.argmax(0)[None]
    dx, dy = (np.take_along_axis(np.stack(parts), chosen, 0)[0] for parts in zip(*both, strict=True))
    size = np.take_along_axis(sizes, chosen, 0)[0]
    ridges = _ridges(size, dx, dy) & (size > low)
    return np.where(_grow(ridges & (size > high), ridges), np.uint8(255), np.uint8(0))
