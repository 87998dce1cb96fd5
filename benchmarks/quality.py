"""How far a picture is from another: PSNR, SSIM, distance of latents, and what the rooms probe reads in both."""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def psnr(a: Pixels, b: Pixels) -> float | None:
    """Peak signal-to-noise ratio in dB of 8-bit pictures; None when they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else None


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity (Wang et al. 2004) of 8-bit pictures (H, W, C) of 11 pixels a side or more; 1 is equality.

    A Gaussian window of 11 pixels and sigma 1.5, whole windows only, mean over channels.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = _blurred(x), _blurred(y)
    vx, vy, xy = _blurred(x * x) - mx * mx, _blurred(y * y) - my * my, _blurred(x * y) - mx * my
    return float(np.mean((2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    for axis in (0, 1):
        image = np.lib.stride_tricks.sliding_window_view(image, 11, axis) @ window
    return image


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Relative distance: the norm of the difference over the norm of ``b``."""
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


def compare(picture: Path, reference: Path | None, probe: Any = None) -> dict[str, Any]:
    """The picture's checksum, and how far it is from the reference, where there is one of its size.

    psnr in dB (None: equal), ssim; latents: relative distance, where both lie beside the pictures; with a probe,
    layout: overlap of its maps of objects, and looks: the share of style, light and medium that it reads alike.
    """
    pixels = _pixels(picture)
    described: dict[str, Any] = {"sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}
    if reference is None or reference == picture:
        return described
    other = _pixels(reference)
    found = psnr(pixels, other)
    described |= {"psnr": None if found is None else round(found, 2), "ssim": round(ssim(pixels, other), 5)}
    mine, theirs = picture.with_suffix(".npy"), reference.with_suffix(".npy")
    if mine.exists() and theirs.exists():
        described["latents"] = distance(np.load(mine), np.load(theirs))
    return described | ({} if probe is None else _read(probe, pixels, other))


def _read(probe: Any, pixels: Pixels, other: Pixels) -> dict[str, float]:
    from models.rooms.evaluate import overlap
    from models.rooms.probe import read

    maps, looks = read(probe, np.stack([pixels, other]))
    return {"layout": overlap(maps[0], maps[1]), "looks": float(np.mean(looks[0] == looks[1]))}


def _pixels(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
