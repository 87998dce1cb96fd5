"""Distils the autoencoder to one several times cheaper: python -m models.rooms.train_tiny_vae --run DIR [--steps N].

Its encoder learns the latents that the autoencoder gave the pictures, scaled as the UNet has them; its decoder learns
the pictures from those. Writes `DIR/tiny_vae`, which `partway export DIR/diffusers/rooms OUT --tiny-vae DIR/tiny_vae`
puts into a package. Stopped at any time, the same command goes on from the last checkpoint with the same result.
"""

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
    args = training.arguments(__doc__, seed=SEED, steps=2000, batch=8, report=50)
    check_owner(args.run)
    scale, vae = scaling_factor(args.run), make_tiny_vae()
    weights = list(vae.parameters())
    optimiser = training.Optimiser([vae], RATE, 1e-4)
    averaged = [p.detach().clone() for p in weights]
    path, parts = args.run / "tiny_vae.pt", {"vae": vae, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, sums = training.Log(path.with_suffix(".jsonl")), np.zeros(2)
    for step in range(first, args.steps):
        latents, x = batch_at(args.run, step, args.batch, args.shards)
        latents, x = (value.contiguous(memory_format=torch.channels_last) for value in (latents * scale, x))
        with training.quick():
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
            training.keep(path, step + 1, averaged, **parts)
    training.put(weights, averaged)
    vae.save_pretrained(args.run / "tiny_vae")
    log(step=args.steps, **round_trip_psnr(lambda x: vae.decode(vae.encode(x).latents).sample, 30))


if __name__ == "__main__":
    main()
