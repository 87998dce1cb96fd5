"""Distils the autoencoder to one several times cheaper: python -m models.rooms.train_tiny_vae --run DIR [--steps N].

Its encoder learns the latents that the autoencoder gave the pictures, scaled as the UNet has them; its decoder learns
the pictures from those. Writes `DIR/tiny_vae`, which `partway export DIR/diffusers/rooms OUT --tiny-vae DIR/tiny_vae`
puts into a package. Stopped at any time, the same command goes on from the last checkpoint with the same result.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from . import training
from .latents import check_owner, scaling_factor
from .networks import make_tiny_vae
from .train_decoder import batch_at
from .train_vae import reconstruction_loss, round_trip_psnr

SEED = 6
RATE = 3e-3
EVERY = 250  # steps between checkpoints


def latents_loss(error: torch.Tensor) -> torch.Tensor:
    """What a difference of scaled latents (B, 4, h, w) costs."""
    return error.abs().mean() + error.square().mean()


def main() -> None:
    """Trains until the step count is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--shards", type=int, default=28)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    check_owner(args.run)
    scale, vae = scaling_factor(args.run), make_tiny_vae()
    weights = list(vae.parameters())
    optimiser = training.Optimiser([vae], RATE, 1e-4)
    averaged = [p.detach().clone() for p in weights]
    path, log_path, first = args.run / "tiny_vae.pt", args.run / "tiny_vae.jsonl", 0
    if state := training.load(path):
        vae.load_state_dict(state["vae"])
        optimiser.load_state_dict(state["optimiser"])
        averaged, first = state["averaged"], state["step"]
    training.cut_log(log_path, first)
    log, sums = training.Log(log_path), np.zeros(2)
    for step in range(first, args.steps):
        latents, x = batch_at(args.run, step, args.batch, args.shards)
        latents, x = (value.contiguous(memory_format=torch.channels_last) for value in (latents * scale, x))
        with torch.autocast("cpu", torch.bfloat16):
            z, y = vae.encode(x).latents, vae.decode(latents).sample
        missed, error = z.float() - latents, y.float() - x
        loss = latents_loss(missed) + reconstruction_loss(error)
        optimiser.step(loss, training.rate(step, args.steps, RATE, warmup=100))
        training.average(averaged, weights, step, 0.99)
        sums += [missed.square().mean().item(), error.square().mean().item()]
        if (step + 1) % args.report == 0:
            of_latents, of_pixels = sums / args.report
            sums[:] = 0
            psnr = round(float(6.02 - 10 * np.log10(of_pixels)), 2)
            log(step=step + 1, latents=round(float(of_latents**0.5), 4), psnr=psnr)
        if (step + 1) % EVERY == 0 or step + 1 == args.steps:
            training.save(
                path, vae=vae.state_dict(), optimiser=optimiser.state_dict(), averaged=averaged, step=step + 1
            )
    with torch.no_grad():
        for p, mean in zip(weights, averaged, strict=True):
            p.copy_(mean)
    vae.save_pretrained(args.run / "tiny_vae")
    log(step=args.steps, **round_trip_psnr(lambda x: vae.decode(vae.encode(x).latents).sample, 30))


if __name__ == "__main__":
    main()
