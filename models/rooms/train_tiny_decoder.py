"""Distils a tiny decoder from the decoder: python -m models.rooms.train_tiny_decoder --run DIR --minutes 40.

It stands behind the model's own encoder, learns to draw what the model's decoder draws of the same latents, and takes a
fifth of its work. Reads `DIR/tuned_vae`, draws rooms beside it, and writes `DIR/tiny_decoder.safetensors`, from which
it goes on where that is there already (`take_decoder` writes what `sharpen` found). `put_tiny_decoder` puts it into a
package.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import avg_pool2d

from . import drawing, training
from .autoencoder import LatentDecoder, LatentEncoder, TinyDecoder, load_autoencoder
from .detail import octave_energies, psnr
from .sharpen import turn
from .sharpness import Balance, energy_losses, pixel_loss

SEED = 8
RATE = 1e-3
SCALE = 0.2050216117667224  # of the latents, as the UNet has them
WEIGHTS = {"pixels": 1.0, "structure": 0.5, "octave 0": 0.05, "octave 1": 0.05}  # shares in the gradient
FILE = "tiny_decoder.safetensors"


def structure_loss(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """1 - SSIM (Wang et al., 2004) of pictures (B, 3, H, W) in [-1, 1], in windows of 9 pixels."""
    mean_y, mean_x = (avg_pool2d(v, 9, 1) for v in (y, x))
    of_y, of_x, both = (
        avg_pool2d(a * b, 9, 1) - m * n
        for a, b, m, n in ((y, y, mean_y, mean_y), (x, x, mean_x, mean_x), (y, x, mean_y, mean_x))
    )
    c1, c2 = 0.02**2, 0.06**2
    brightness = (2 * mean_y * mean_x + c1) / (mean_y.square() + mean_x.square() + c1)
    return 1 - (brightness * (2 * both + c2) / (of_y + of_x + c2)).mean()


class Pairs:
    """Scaled latents (N, 4, h, w) and what the teacher draws of them, uint8 (N, 3, H, W), of the rooms of a folder."""

    def __init__(self, folder: Path, encoder: LatentEncoder, teacher: LatentDecoder) -> None:
        self._folder, self._encoder, self._teacher = folder, encoder, teacher
        self._seen: set[Path] = set()
        self.latents, self.pictures = torch.empty(0), torch.empty(0)

    @torch.no_grad()
    def grow(self, files: int = 1) -> None:
        """Takes in so many of the files that have been drawn since."""
        for path in sorted(set(self._folder.glob("*.npy")) - self._seen)[:files]:
            latents = self._encoder(training.to_input(np.load(path)))
            drawn = torch.cat([self._teacher(one[None]) for one in latents]).clamp(-1, 1)
            self._seen.add(path)
            new = latents * SCALE, ((drawn + 1) * 127.5).round().byte()
            first = not len(self.latents)
            self.latents, self.pictures = (
                (a if first else torch.cat([b, a])) for a, b in zip(new, (self.latents, self.pictures), strict=True)
            )

    def wait(self, count: int) -> None:
        """Grows until so many pairs are there."""
        while len(self.latents) < count:
            self.grow()
            time.sleep(0.1)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents and pictures in [-1, 1], drawn at random."""
        chosen = torch.randint(len(self.latents), (count,))
        return self.latents[chosen], self.pictures[chosen].float() / 127.5 - 1


def step(tiny: TinyDecoder, balance: Balance, latents: torch.Tensor, x: torch.Tensor) -> None:
    """Leaves the gradient of the balanced losses in the weights."""
    with training.quick():
        made = tiny(latents)
    y = made.detach().float().requires_grad_(True)
    losses = {"pixels": pixel_loss(y, x), "structure": structure_loss(y, x)}
    losses |= {f"octave {index}": loss for index, loss in enumerate(energy_losses(y, x))}
    made.backward(balance(losses, WEIGHTS, y).to(made.dtype))


@torch.no_grad()
def check(tiny: TinyDecoder, pairs: Pairs) -> dict[str, float | list[float]]:
    """How near the teacher's pictures it comes: PSNR, SSIM, and the shares of their detail that it keeps."""
    x = pairs.pictures.float() / 127.5 - 1
    y = torch.cat([tiny(one) for one in pairs.latents.split(4)]).clamp(-1, 1)
    kept = (octave_energies(y) / octave_energies(x)).median(0).values.tolist()
    found = {"psnr": float(psnr(y, x).mean()), "ssim": 1 - float(structure_loss(y, x))}
    return {name: round(value, 4) for name, value in found.items()} | {"kept": [round(share, 3) for share in kept]}


def distil(tiny: TinyDecoder, pairs: Pairs, checks: Pairs, args: argparse.Namespace) -> TinyDecoder:
    """Trains for so many minutes and returns the averaged weights."""
    log, balance, averaged = training.Log(args.run / "tiny_decoder.jsonl"), Balance(), copy.deepcopy(tiny).eval()
    optimiser = torch.optim.AdamW(tiny.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0)
    started, number, said = time.time(), 0, 0.0
    while (done := (time.time() - started) / (60 * args.minutes)) < 1:
        if number % 10 == 0 and len(pairs.latents) < args.rooms:
            pairs.grow()
        optimiser.zero_grad(set_to_none=True)
        step(tiny, balance, *pairs.batch(args.batch))
        turn(optimiser, RATE * min((number + 1) / 50, 1.0, (1 - done) / 0.6))
        training.average(list(averaged.parameters()), tiny.parameters(), number, 0.99)
        number += 1
        if done > said + 0.1:
            said = done
            save_file(averaged.state_dict(prefix="decoder."), args.run / FILE)
            log(step=number, done=round(done, 3), rooms=len(pairs.latents), **check(averaged, checks))
    save_file(averaged.state_dict(prefix="decoder."), args.run / FILE)
    log(step=number, done=1.0, rooms=len(pairs.latents), **check(averaged, checks))
    return averaged


def main() -> None:
    """Trains until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rooms", type=int, default=800)
    parser.add_argument("--first", type=int, default=48, help="rooms that it starts with")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    folder, tiny = args.run / f"drawn{args.side}", TinyDecoder()
    if (args.run / FILE).exists():
        weights = load_file(args.run / FILE)
        tiny.load_state_dict({name.removeprefix("decoder."): value.float() for name, value in weights.items()})
    workers = drawing.start(folder, 1, args.side)
    autoencoder = load_autoencoder(args.run / "tuned_vae")
    checks, pairs = (Pairs(folder / name, *autoencoder) for name in ("check", "pool"))
    checks.wait(16)
    pairs.wait(args.first)
    try:
        distil(tiny, pairs, checks, args)
    finally:
        for worker in workers:
            worker.terminate()


if __name__ == "__main__":
    main()
