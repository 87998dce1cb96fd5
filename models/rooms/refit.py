"""Solves the decoder's last convolution anew: python -m models.rooms.refit --run DIR --kept 0.82.

What this layer draws is linear in its weights, so of all weights that keep a share of the renders' finest octave, those
with the best PSNR follow from normal equations (Lagrange). Weights of two trainings that were mixed for a better PSNR
get their detail back so, at a fraction of its price. Reads and writes `DIR/tuned_vae`, on rooms of the training.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad, silu, unfold

from .autoencoder import WEIGHTS, LatentDecoder, load_autoencoder
from .detail import LUMA, OCTAVES, octave_energies
from .renders import picture
from .training import to_input


class Room(NamedTuple):
    """Sums over the pixels of one room, with p = 145 inputs of the layer: 16 channels of 3x3 pixels, and a constant.

    products (p, p), answers (p, 3) and squares are those of the least squares; energies (octaves, p, p) give the
    gradient energy of the luma as a share of the render's
    """

    products: torch.Tensor
    answers: torch.Tensor
    squares: float
    energies: torch.Tensor

    def mse(self, weights: torch.Tensor) -> float:
        """The mean squared error of weights (p, 3), the range of pixels being 1."""
        error = (weights * (self.products @ weights)).sum() - 2 * (weights * self.answers).sum() + self.squares
        return float(error)

    def kept(self, weights: torch.Tensor) -> torch.Tensor:
        """The share of each octave's energy that is kept."""
        luma = weights @ torch.tensor(LUMA, dtype=weights.dtype)
        return torch.einsum("i,oij,j->o", luma, self.energies, luma)


def inputs(decoder: LatentDecoder, latents: torch.Tensor) -> torch.Tensor:
    """What the last convolution is given, (1, 16, H, W)."""
    found = decoder.decoder
    x = found.mid_block(found.conv_in(decoder.post_quant_conv(latents)))
    for level in found.up_blocks:
        x = level(x)
    return silu(found.conv_norm_out(x))


def patches(x: torch.Tensor, constant: float) -> torch.Tensor:
    """Channels (1, C, H + 2, W + 2) as the layer multiplies them, (9 C + 1, H W)."""
    columns = unfold(x, 3)[0].double()
    return torch.cat([columns, torch.full((1, columns.shape[1]), constant, dtype=columns.dtype)])


def octave(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Channels (1, C, H + 2, W + 2), with a margin, of whose power the gradient energy in one octave is made.

    x: (1, C, H, W), which its mirror image continues
    """
    height, width = x.shape[2:]
    x = torch.cat([x, x.flip(3)], 3)
    waves = torch.fft.rfft2(torch.cat([x, x.flip(2)], 2))
    rows, columns = torch.fft.fftfreq(2 * height), torch.fft.rfftfreq(2 * width)
    radius = (rows.square()[:, None] + columns.square()[None, :]).sqrt()
    found = torch.fft.irfft2(waves * radius * ((radius > low) & (radius <= high)))
    return found.roll((1, 1), (2, 3))[..., : height + 2, : width + 2]


@torch.no_grad()
def sums(decoder: LatentDecoder, latents: torch.Tensor, x: torch.Tensor) -> Room:
    """The sums of a room, from its latents and its render (1, 3, H, W)."""
    given, wanted = inputs(decoder, latents), x[0].flatten(1).double()
    columns, count = patches(pad(given, (1, 1, 1, 1)), 1.0), 4 * wanted.numel()
    energies = []
    for index, (low, high) in enumerate(OCTAVES):
        filtered = patches(octave(given, low, high), 0.0)
        of_render = float(octave_energies(x)[0, index]) / (4 * given.shape[2] * given.shape[3])  # mirrored, so 4 times
        energies.append(filtered @ filtered.T / (of_render / 4))
    scaled = columns / count**0.5
    return Room(
        scaled @ scaled.T, scaled @ (wanted / count**0.5).T, float(wanted.square().sum()) / count, torch.stack(energies)
    )


def solved(rooms: list[Room], first: torch.Tensor, price: float) -> torch.Tensor:
    """The weights (p, 3) with the best PSNR, where detail of the finest octave is worth so much."""
    counts = torch.tensor([1 / room.mse(first) for room in rooms])[:, None, None]  # as the mean PSNR counts errors
    products = (counts * torch.stack([room.products for room in rooms])).sum(0)
    answers = (counts * torch.stack([room.answers for room in rooms])).sum(0)
    energy = torch.stack([room.energies[0] for room in rooms]).sum(0)
    luma, size = torch.tensor(LUMA, dtype=first.dtype), len(first)
    both = torch.kron(torch.eye(3, dtype=first.dtype), products) - price * torch.kron(torch.outer(luma, luma), energy)
    return torch.linalg.solve(both + 1e-9 * torch.eye(3 * size), answers.T.reshape(-1)).reshape(3, size).T


def figures(rooms: list[Room], weights: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Mean PSNR in dB, and the median share of each octave that is kept."""
    psnr = -10 * torch.tensor([room.mse(weights) for room in rooms]).log10()
    return float(psnr.mean()), torch.stack([room.kept(weights) for room in rooms]).median(0).values


def refit(rooms: list[Room], first: torch.Tensor, kept: float) -> torch.Tensor:
    """The weights (p, 3) with the best PSNR that keep this share of the finest octave; prices by bisection."""
    low, high = 0.0, 1.0
    while figures(rooms, solved(rooms, first, high))[1][0] < kept:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        enough = figures(rooms, solved(rooms, first, middle))[1][0] >= kept
        low, high = (low, middle) if enough else (middle, high)
    return solved(rooms, first, high)


def main() -> None:
    """Writes the new layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--kept", type=float, default=0.82)
    parser.add_argument("--rooms", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder, decoder = load_autoencoder(args.run / "tuned_vae")
    last, rooms = decoder.decoder.conv_out, []
    for index in range(args.rooms):
        x = to_input(picture(index).pixels[None])
        with torch.no_grad():
            latents = encoder(x)
        rooms.append(sums(decoder, latents, x))
    first = torch.cat([last.weight.flatten(1), last.bias[:, None]], 1).T.double().detach()
    new = refit(rooms, first, args.kept)
    for weights in (first, new):
        psnr, shares = figures(rooms, weights)
        print(f"{psnr:.3f} dB, kept of the finest octave and the next: {shares[0]:.3f}, {shares[1]:.3f}")
    path = args.run / "tuned_vae" / WEIGHTS
    kernel, bias = new[:-1].T.reshape(last.weight.shape), new[-1]
    parts = {"decoder.conv_out.weight": kernel.float().contiguous(), "decoder.conv_out.bias": bias.float()}
    save_file(load_file(path) | parts, path)


if __name__ == "__main__":
    main()
