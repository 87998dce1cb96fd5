"""Pictures of latents without a network: a linear map from latent channels to colours, a pixel for each latent."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# (C + 1, 3): red, green and blue in [-1, 1] for each channel of Stable Diffusion 1.x and 2.x latents, and a constant.
# ComfyUI uses the same figures for its previews (latent_formats.SD15).
STABLE_DIFFUSION: Array = np.array(
    [
        [0.3512, 0.2297, 0.3227],
        [0.3250, 0.4974, 0.2350],
        [-0.2829, 0.1762, 0.2721],
        [-0.2120, -0.2616, -0.7177],
        [0.0, 0.0, 0.0],
    ],
    np.float32,
)


def fit(latents: Array, pixels: Array) -> Array:
    """The map (C + 1, 3) from latents (C, h, w) to the pixels (3, H, W) they encode, by least squares."""
    channels, h, w = latents.shape
    blocks = pixels.reshape(3, h, pixels.shape[1] // h, w, pixels.shape[2] // w).mean(axis=(2, 4))
    known = np.vstack([latents.reshape(channels, -1), np.ones((1, h * w), np.float32)])
    # Ridge regression, because a picture may have fewer colours than the latents have channels.
    square = known @ known.T + 1e-3 * h * w * np.eye(channels + 1, dtype=np.float32)
    colours: Array = np.linalg.solve(square, known @ blocks.reshape(3, -1).T).astype(np.float32)
    return colours


def apply(latents: Array, colours: Array) -> Array:
    """Latents (B, C, h, w) -> pixels (B, 3, h, w) in about [-1, 1]."""
    mapped = np.einsum("bchw,cr->brhw", latents, colours[:-1]) + colours[-1][None, :, None, None]
    return mapped.astype(np.float32)
