"""How much fine detail pictures have, and whether it is real: octaves, overshoot, grids, Frechet distance."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import max_pool2d

OCTAVES = ((0.25, 0.5), (0.125, 0.25))  # cycles a pixel: the upper two
LUMA = (0.299, 0.587, 0.114)


def octave_energies(x: torch.Tensor, gradient: bool = True) -> torch.Tensor:
    """Gradient energy of the luma of pictures (B, 3, H, W) in each of `OCTAVES`, (B, 2); else the luma's own power.

    The squares of both derivatives, summed in the frequency domain; pictures are continued by their mirror image, so
    their borders are no edges.
    """
    luma = (x.float() * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1)
    luma = torch.cat([luma, luma.flip(2)], 2)
    power = torch.fft.fft2(torch.cat([luma, luma.flip(1)], 1)).abs().square()
    rows, columns = (torch.fft.fftfreq(side, device=x.device) for side in power.shape[1:])
    squares = rows.square()[:, None] + columns.square()[None, :]
    radius = squares.sqrt()
    weights = squares if gradient else torch.ones_like(squares)
    bands = [weights * ((radius > low) & (radius <= high)) for low, high in OCTAVES]
    return torch.stack([(power * band).sum((1, 2)) for band in bands], 1)


def psnr(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of each picture (B, 3, H, W) in [-1, 1] beside what it should be, (B,)."""
    return -10 * torch.log10(((y.clamp(-1, 1) - x) / 2).square().mean((1, 2, 3)))


def overshoot(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Ringing: how far pictures leave the range that a render has within 3 pixels, mean in levels of 255, (B,)."""
    above = (y - max_pool2d(x, 7, 1, 3)).clamp(min=0)
    below = (-max_pool2d(-x, 7, 1, 3) - y).clamp(min=0)
    return (above + below).mean((1, 2, 3)) * 127.5


def grid_peaks(x: torch.Tensor, period: int) -> torch.Tensor:
    """Checkerboards: power of waves that repeat every `period` pixels along an axis, over that of their neighbours.

    Pictures (B, 3, H, W) -> (B,). Upsampling by two leaves its marks at periods of 2, 4 and 8; without them it is 1.
    """
    return (_line_peaks(x, period) + _line_peaks(x.transpose(2, 3), period)) / 2


def _line_peaks(x: torch.Tensor, period: int) -> torch.Tensor:
    side = x.shape[3]
    waves = torch.fft.rfft(x.float() * torch.hann_window(side, device=x.device), dim=3)
    power, at = waves.abs().square().mean((1, 2)), side // period
    near = [place for place in (at - 5, at - 4, at + 4, at + 5) if place < power.shape[1]]
    return power[:, at] / power[:, near].mean(1)


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Frechet distance of two sets of features, (N, D) each, taken as Gaussians (Heusel et al., 2017)."""
    means, spreads = [v.mean(0) for v in (a, b)], [np.cov(v, rowvar=False) for v in (a, b)]
    values, vectors = np.linalg.eigh(spreads[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ spreads[1] @ root).clip(0)).sum()
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * cross)
