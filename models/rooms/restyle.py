"""Teaches the UNet to restyle a room and leave it standing: python -m models.rooms.restyle --run DIR [--steps N].

Image to image starts from a picture that does not fit the prompt, which training on captioned pictures never shows.
Half of each batch here is such a start: a room's latents in one look under the noise of middling strengths, with the
caption of another look of the same room. The prediction with the caption is taught to lie where guidance leads from
the prediction without a caption to that other look. The other half is training as before, so that all else stays; the
text encoder does not change. Goes on from `DIR/unet.pt` and writes `DIR/restyled.pt`; resumable like the rest.
"""

import copy
from typing import Any

import numpy as np
import torch

from . import training
from .assemble import trained
from .distill import run_unet
from .latents import check_owner, scaling_factor
from .looks import FOLDER, SHARDS, each_look, read_looks, starts
from .train_unet import Batch, alphas, empty_tokens, v_loss
from .train_unet import batch_at as captioned

SEED = 8
GUIDANCE = 7.5  # that reaches the other look at once; half of it gets there in a few steps, and errs by half as much
EVERY = 100  # steps between checkpoints


def restyle_loss(
    unet: Any,
    teacher: Any,
    texts: tuple[torch.Tensor, torch.Tensor],
    batch: Batch,
    after: torch.Tensor,
    cumulative: torch.Tensor,
) -> torch.Tensor:
    """Mean squared error of the predicted v; texts are of the captions and of the empty one, (B, TOKENS, width)."""
    a = cumulative[batch.timesteps].view(-1, 1, 1, 1)
    x = a.sqrt() * batch.latents + (1 - a).sqrt() * batch.noise
    with torch.no_grad():
        bare = run_unet(teacher, x, batch.timesteps, texts[1])
    there = (a.sqrt() * x - after) / (1 - a).sqrt()  # the v whose estimate of the picture is the other look
    goal = bare + (there - bare) / GUIDANCE
    return (run_unet(unet, x, batch.timesteps, texts[0]) - goal).square().mean()


def main() -> None:
    """Trains until the step count is reached."""
    args = training.arguments(__doc__, seed=SEED, steps=500, batch=16, rate=3e-4, report=25, shards=SHARDS)
    check_owner(args.run, FOLDER)
    looks, empty = read_looks(args.run, args.shards), empty_tokens(args.run)
    scale, flat = scaling_factor(args.run), each_look(looks)
    teacher, text_encoder = trained(args.run, restyled=False)
    for network in (teacher, text_encoder):
        network.requires_grad_(False)
    unet, cumulative, half = copy.deepcopy(teacher).requires_grad_(True).train(), alphas(), args.batch // 2
    bare = text_encoder(torch.from_numpy(empty)[None])[0].repeat(half, 1, 1)
    weights = list(unet.parameters())
    averaged = [p.detach().clone() for p in weights]
    optimiser = training.Optimiser([unet], args.rate, 0.0)
    path, parts = args.run / "restyled.pt", {"unet": unet, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, totals = training.Log(path.with_suffix(".jsonl")), np.zeros(2)
    for step in range(first, args.steps):
        batch, after = starts(looks, step, half, scale, SEED)
        restyled = restyle_loss(unet, teacher, (text_encoder(batch.tokens)[0], bare), batch, after, cumulative)
        usual = v_loss(unet, text_encoder, captioned(flat, step, half, scale, empty), cumulative)
        rate = training.rate(step, args.steps, args.rate, warmup=50, decay=0.5)
        optimiser.step(usual + restyled, rate)
        training.average(averaged, weights, step, 0.99)
        totals += usual.item(), restyled.item()
        if (step + 1) % args.report == 0:
            usual_mean, restyled_mean = (totals / args.report).round(5)
            log(step=step + 1, usual=usual_mean, restyled=restyled_mean, rate=rate)
            totals[:] = 0
        if (step + 1) % EVERY == 0 or step + 1 == args.steps:
            training.keep(path, step + 1, averaged, **parts)


if __name__ == "__main__":
    main()
