"""Trains the autoencoder on crops of rendered rooms: python -m models.rooms.train_vae --run DIR [--steps N].

Stopped at any time, the same command goes on from the last checkpoint, with the same result as if it had not been
stopped. The shards come from `python -m models.rooms.renders`, which may still be drawing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from partway_rooms import HELD_OUT

from . import training
from .networks import make_vae
from .renders import BLOCK, SHARD, open_shard, pictures, shard_maps
from .structure import Reader, structure_loss
from .training import to_input

# Steps, side, pictures a step: first many small crops, which learn faster, then larger ones, then whole pictures, as
# the autoencoder is used: its normalisation sees all of a picture, and its corners are learnt.
STAGES = ((2700, 64, 16), (1200, 128, 8), (1000, 256, 4))
STEPS = sum(steps for steps, _, _ in STAGES)
KL_WEIGHT = 5e-5
STRUCTURE_WEIGHT = 0.03
FIRST_LOG_VARIANCE = -6.0  # the posterior starts narrow: at 0 its noise drowns the untrained means for a thousand steps
SEED = 1


def stage_at(step: int) -> tuple[int, int]:
    """Side of the crops and pictures a step; what comes after the last stage is like it."""
    for steps, side, count in STAGES[:-1]:
        if step < steps:
            return side, count
        step -= steps
    return STAGES[-1][1:]


class Crops(NamedTuple):
    """Pictures (B, 3, s, s) in [-1, 1] and their objects, (B, s / 4, s / 4) class numbers."""

    pixels: torch.Tensor
    objects: torch.Tensor


def batch_at(run: Path, step: int, shards: int) -> Crops:
    """Crops of one step: a shuffled pass over each shard in turn."""
    side, count = stage_at(step)
    turn, place = divmod(step * count, SHARD)
    shard, maps = open_shard(run, turn % shards), shard_maps(run, turn % shards)
    order = np.random.default_rng([SEED, 1, turn]).permutation(SHARD)[place : place + count]
    rng = np.random.default_rng([SEED, 2, step])
    corners = rng.integers(0, (256 - side) // BLOCK + 1, (len(order), 2))  # the blocks of pixel art stay whole
    pixels, objects = [], []
    for i, (y, x), flip in zip(order, corners, rng.random(len(order)) < 0.5, strict=True):
        across = slice(None, None, -1 if flip else 1)
        area = [slice(BLOCK * at, BLOCK * at + side) for at in (y, x)]
        pixels.append(shard[i, area[0], area[1]][:, across])
        objects.append(maps[i, y : y + side // BLOCK, x : x + side // BLOCK][:, across])
    return Crops(to_input(np.stack(pixels)), torch.from_numpy(np.stack(objects).astype(np.int64)))


def new_vae() -> Any:
    """An untrained autoencoder with a narrow posterior."""
    vae = make_vae()
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = FIRST_LOG_VARIANCE
    return vae


def through(vae: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Encoding and decoding, with no noise between them."""
    return lambda x: vae.decode(vae.encode(x).latent_dist.mode()).sample


def detail(error: torch.Tensor) -> torch.Tensor:
    """Absolute error summed over the upper three levels of a Laplacian pyramid: edges and textures."""
    total = torch.zeros(())
    for _ in range(3):
        small = avg_pool2d(error, 2)
        total = total + (error - interpolate(small, scale_factor=2, mode="nearest")).abs().mean()
        error = small
    return total


def reconstruction_loss(error: torch.Tensor) -> torch.Tensor:
    """What a difference of pictures (B, 3, H, W) costs.

    The colour of each latent's area weighs most: without it the four channels fill with edges first, colours come
    late and the PSNR stays low for thousands of steps.
    """
    areas = avg_pool2d(error, 8).abs().mean()
    return error.abs().mean() + 4 * error.square().mean() + 2 * areas + 0.1 * detail(error)


@torch.no_grad()
def round_trip_psnr(round_trip: Callable[[torch.Tensor], torch.Tensor], count: int) -> dict[str, float]:
    """PSNR in dB of held-out rooms, (1, 3, H, W) in [-1, 1], after it: the mean over pictures and the worst."""
    found = []
    for picture in pictures(HELD_OUT, count):
        x = to_input(picture.pixels[None])
        with training.quick():
            y = round_trip(x)
        error = ((y.float().clamp(-1, 1) - x) / 2).square().mean()
        found.append(float(-10 * torch.log10(error)))
    return {"psnr": round(float(np.mean(found)), 2), "worst": round(min(found), 2)}


def main() -> None:
    """Trains until the step count is reached."""
    args = training.arguments(__doc__, seed=SEED, steps=STEPS, rate=3e-3, report=100)
    vae, reader = new_vae(), Reader().to(memory_format=torch.channels_last)
    weights = list(vae.parameters())
    optimiser = training.Optimiser([vae, reader], args.rate, 1e-4)
    averaged = [p.detach().clone() for p in weights]
    path, parts = args.run / "vae.pt", {"vae": vae, "reader": reader, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, sums = training.Log(path.with_suffix(".jsonl")), np.zeros(4)

    def keep(step: int) -> None:
        training.keep(path, step, averaged, **parts)
        current = [p.detach().clone() for p in weights]
        training.put(weights, averaged)
        vae.save_pretrained(args.run / "vae")
        log(step=step, **round_trip_psnr(through(vae), 30))
        training.put(weights, current)

    for step in range(first, args.steps):
        x, objects = batch_at(args.run, step, args.shards)
        x, noise = x.contiguous(memory_format=torch.channels_last), training.generator(SEED, step)
        with training.quick():
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample(generator=noise)).sample
            structure = structure_loss(reader, posterior.mean, objects, noise)
        error, spread = y.float() - x, posterior.kl().mean() / posterior.mean[0].numel()
        loss = reconstruction_loss(error) + KL_WEIGHT * spread + STRUCTURE_WEIGHT * structure
        optimiser.step(loss, training.rate(step, args.steps, args.rate))
        training.average(averaged, weights, step)
        sums += [loss.item(), error.square().mean().item(), spread.item(), structure.item()]
        if (step + 1) % args.report == 0:
            mean = sums / args.report
            sums[:] = 0
            psnr = round(float(6.02 - 10 * np.log10(mean[1])), 2)
            log(
                step=step + 1, loss=round(mean[0], 5), crop_psnr=psnr, kl=round(mean[2], 3),
                structure=round(mean[3], 4),
            )  # fmt: skip
        if (step + 1) % (10 * args.report) == 0 or step + 1 == args.steps:
            keep(step + 1)


if __name__ == "__main__":
    main()
