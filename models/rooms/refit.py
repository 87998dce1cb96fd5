"""Solves the decoder's last convolution anew: python -m models.rooms.refit --run DIR --kept 0.82 0.85.

What this layer draws is linear in its weights, so of all weights that keep shares of the renders' finest octave and the
next, those with the best PSNR follow from normal equations (Lagrange), which training with a critic does not reach.
The medium matters: what is kept of photos is paid for by sketches, so going `--amount` 0.6 of the way is often better.
Reads and writes `DIR/tuned_vae`, on rooms of the training.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad, silu, unfold

from .autoencoder import WEIGHTS, LatentDecoder, load_autoencoder
from .detail import LUMA, OCTAVES, octave_energies
from .renders import picture
from .training import to_input

TURNS = 3  # in which each price follows the other


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


def patches(x: torch.Tensor) -> torch.Tensor:
    """Channels (1, C, H, W) as the layer multiplies them, (9 C + 1, H W)."""
    columns = unfold(pad(x, (1, 1, 1, 1)), 3)[0]
    return torch.cat([columns, torch.ones(1, columns.shape[1])])


def octave(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Channels (C, H, W) whose power is the gradient energy in one octave; their mirror images continue them."""
    height, width = x.shape[1:]
    x = torch.cat([x, x.flip(2)], 2)
    waves = torch.fft.rfft2(torch.cat([x, x.flip(1)], 1))
    rows, columns = torch.fft.fftfreq(2 * height), torch.fft.rfftfreq(2 * width)
    radius = (rows.square()[:, None] + columns.square()[None, :]).sqrt()
    return torch.fft.irfft2(waves * radius * ((radius > low) & (radius <= high)))[:, :height, :width]


@torch.no_grad()
def sums(decoder: LatentDecoder, latents: torch.Tensor, x: torch.Tensor) -> Room:
    """The sums of a room, from its latents and its render (1, 3, H, W)."""
    wanted, (height, width) = x[0].flatten(1).double(), x.shape[2:]
    columns, energies = patches(inputs(decoder, latents)), []
    for index, band in enumerate(OCTAVES):
        # The layer's own borders, and then the mirror's: filtered before the layer they would not cancel out.
        filtered = torch.cat([octave(some.unflatten(1, (height, width)), *band) for some in columns.split(16)])
        of_render = float(octave_energies(x)[0, index]) / (16 * height * width)  # its mirror has 4 times the pixels
        rows = filtered.flatten(1).double()
        energies.append(rows @ rows.T / of_render)
    scaled = columns.double() / (4 * wanted.numel()) ** 0.5
    answers = scaled @ (wanted / (4 * wanted.numel()) ** 0.5).T
    return Room(scaled @ scaled.T, answers, float(wanted.square().mean()) / 4, torch.stack(energies))


def solved(rooms: list[Room], first: torch.Tensor, prices: Sequence[float]) -> torch.Tensor:
    """The weights (p, 3) with the best PSNR, where detail of each octave is worth so much."""
    counts = torch.tensor([1 / room.mse(first) for room in rooms])[:, None, None]  # as the mean PSNR counts errors
    products = (counts * torch.stack([room.products for room in rooms])).sum(0)
    answers = (counts * torch.stack([room.answers for room in rooms])).sum(0)
    energies = torch.stack([room.energies for room in rooms]).sum(0)
    worth = (torch.tensor(prices, dtype=first.dtype)[:, None, None] * energies).sum(0)
    luma, size = torch.tensor(LUMA, dtype=first.dtype), len(first)
    both = torch.kron(torch.eye(3, dtype=first.dtype), products) - torch.kron(torch.outer(luma, luma), worth)
    return torch.linalg.solve(both + 1e-9 * torch.eye(3 * size), answers.T.reshape(-1)).reshape(3, size).T


def figures(rooms: list[Room], weights: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Mean PSNR in dB, and the median share of each octave that is kept."""
    psnr = -10 * torch.tensor([room.mse(weights) for room in rooms]).log10()
    return float(psnr.mean()), torch.stack([room.kept(weights) for room in rooms]).median(0).values


def refit(rooms: list[Room], first: torch.Tensor, kept: Sequence[float]) -> torch.Tensor:
    """The weights (p, 3) with the best PSNR that keep these shares of the octaves; a price at a time, by bisection."""
    prices = [0.0] * len(kept)
    for octave in TURNS * list(range(len(kept))):

        def enough(price: float, octave: int = octave) -> bool:
            found = solved(rooms, first, [*prices[:octave], price, *prices[octave + 1 :]])
            return bool(figures(rooms, found)[1][octave] >= kept[octave])

        prices[octave] = _least(enough)
    return solved(rooms, first, prices)


def _least(enough: Callable[[float], bool]) -> float:
    """The least price that is enough."""
    if enough(0.0):
        return 0.0
    low, high = 0.0, 1e-3
    while not enough(high):
        low, high = high, 2 * high
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def main() -> None:
    """Writes the new layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--kept", type=float, nargs=2, default=(0.82, 0.85), metavar=("FINEST", "NEXT"))
    parser.add_argument("--amount", type=float, default=1.0, help="how far to go from the old weights to the new ones")
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
    new = torch.lerp(first, refit(rooms, first, args.kept), args.amount)
    for weights in (first, new):
        psnr, shares = figures(rooms, weights)
        print(f"{psnr:.3f} dB, kept of the finest octave and the next: {shares[0]:.3f}, {shares[1]:.3f}")
    path = args.run / "tuned_vae" / WEIGHTS
    kernel, bias = new[:-1].T.reshape(last.weight.shape), new[-1]
    parts = {"decoder.conv_out.weight": kernel.float().contiguous(), "decoder.conv_out.bias": bias.float()}
    save_file(load_file(path) | parts, path)


if __name__ == "__main__":
    main()
