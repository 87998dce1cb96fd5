"""Trains the decoder further, alone: python -m models.rooms.train_decoder --run DIR [--steps N].

The encoder stays as it is, so the latents and whatever learnt them stay valid; with no bits to spend on what the
encoder leaves out, the decoder gets all of a step's work. Writes `DIR/tuned_vae`, which assembling takes before
`DIR/vae`. Stopped at any time, the same command goes on from the last checkpoint with the same result.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from . import training
from .latents import check_owner, latents_path
from .renders import SHARD, open_shard
from .train_vae import reconstruction_loss, round_trip_psnr, through
from .training import to_input

SEED = 5
RATE = 5e-4
EVERY = 250  # steps between checkpoints


def batch_at(run: Path, step: int, count: int, shards: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (B, 4, 32, 32) and their pictures, (B, 3, 256, 256) in [-1, 1]: a shuffled pass over each shard."""
    turn, place = divmod(step * count, SHARD)
    order = np.sort(np.random.default_rng([SEED, turn]).permutation(SHARD)[place : place + count])
    latents = np.load(latents_path(run, turn % shards))["latents"][order].astype(np.float32)
    return torch.from_numpy(latents), to_input(open_shard(run, turn % shards)[order])


def main() -> None:
    """Trains until the step count is reached."""
    args = training.arguments(__doc__, seed=SEED, steps=500, batch=4, report=50)
    check_owner(args.run)
    vae = AutoencoderKL.from_pretrained(args.run / "vae").to(memory_format=torch.channels_last)
    weights = [*vae.post_quant_conv.parameters(), *vae.decoder.parameters()]
    optimiser = training.Optimiser([vae.post_quant_conv, vae.decoder], RATE, 1e-4)
    averaged = [p.detach().clone() for p in weights]
    path, parts = args.run / "decoder.pt", {"vae": vae, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, total = training.Log(path.with_suffix(".jsonl")), 0.0
    for step in range(first, args.steps):
        latents, x = batch_at(args.run, step, args.batch, args.shards)
        with training.quick():
            y = vae.decode(latents.contiguous(memory_format=torch.channels_last)).sample
        error = y.float() - x
        optimiser.step(reconstruction_loss(error), training.rate(step, args.steps, RATE, warmup=50, decay=0.5))
        training.average(averaged, weights, step, 0.99)
        total += error.square().mean().item()
        if (step + 1) % args.report == 0:
            log(step=step + 1, psnr=round(float(6.02 - 10 * np.log10(total / args.report)), 2))
            total = 0.0
        if (step + 1) % EVERY == 0 or step + 1 == args.steps:
            training.keep(path, step + 1, averaged, **parts)
    training.put(weights, averaged)
    vae.save_pretrained(args.run / "tuned_vae")
    log(step=args.steps, **round_trip_psnr(through(vae), 30))


if __name__ == "__main__":
    main()
