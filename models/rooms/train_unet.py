"""Trains the UNet and the text encoder together: python -m models.rooms.train_unet --run DIR [--steps N].

Stopped at any time, the same command goes on from the last checkpoint with the same result. v-prediction (Salimans
and Ho, 2022) on latents scaled to deviation 1; one caption in ten is empty, which is what guidance and negative
prompts need.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from partway.diffusion.levels import trained

from . import training
from .latents import Shard, check_owner, read_latents, scaling_factor
from .networks import TOKENS, make_text_encoder, make_unet

SEED = 2
DROP = 0.1
# Sigma at the middle is half of Stable Diffusion's: latents of half the side lose their layout at half the noise
# (Hoogeboom et al. 2023, arXiv 2301.11093). That is the cosine schedule (Nichol and Dhariwal 2021) with sigmas a
# quarter lower; its end still has enough noise for text-to-image to start from no brightness of its own.
SIGMAS = 0.75 * trained("squaredcos_cap_v2").sigmas
EVERY = 250  # steps between checkpoints


class Batch(NamedTuple):
    """Scaled latents (B, 4, 32, 32), tokens (B, TOKENS), timesteps (B,), noise like the latents."""

    latents: torch.Tensor
    tokens: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor


def alphas() -> torch.Tensor:
    """Cumulative alphas of the thousand timesteps, float32."""
    return torch.from_numpy(1 / (1 + SIGMAS**2)).float()


def betas() -> list[float]:
    """The same levels as a scheduler's configuration tells them, ``trained_betas``."""
    kept = 1 / (1 + np.array([0.0, *SIGMAS]) ** 2)
    return [round(float(beta), 9) for beta in 1 - kept[1:] / kept[:-1]]


def batch_at(data: Shard, step: int, size: int, scale: float, empty: np.ndarray) -> Batch:
    """Pictures, captions, timesteps and noise of one step: shuffled passes over the data."""
    count = len(data.latents)
    places = np.arange(step * size, (step + 1) * size)
    rows = np.array([np.random.default_rng([SEED, 1, turn]).permutation(count) for turn in np.unique(places // count)])
    picked = rows[places // count - places[0] // count, places % count]
    rng = np.random.default_rng([SEED, 2, step])
    tokens = data.tokens[picked, rng.integers(data.tokens.shape[1], size=size)].astype(np.int64)
    tokens[rng.random(size) < DROP] = empty
    spread = (rng.permutation(size) + rng.random(size)) / size  # timesteps stratified over the batch
    latents = torch.from_numpy(data.latents[picked].astype(np.float32) * scale)
    noise = torch.randn(latents.shape, generator=training.generator(SEED, step))
    return Batch(latents, torch.from_numpy(tokens), torch.from_numpy((spread * 1000).astype(np.int64)), noise)


def v_loss(unet: Any, text_encoder: Any, batch: Batch, cumulative: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the predicted v."""
    a = cumulative[batch.timesteps].view(-1, 1, 1, 1)
    x = a.sqrt() * batch.latents + (1 - a).sqrt() * batch.noise
    target = a.sqrt() * batch.noise - (1 - a).sqrt() * batch.latents
    with training.quick():
        hidden = text_encoder(batch.tokens)[0]
        out = unet(x.contiguous(memory_format=torch.channels_last), batch.timesteps, hidden).sample
    return (out.float() - target).square().mean()


def empty_tokens(run: Path) -> np.ndarray:
    """Tokens of the empty caption, (TOKENS,)."""
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    return np.asarray(tokenizer("", padding="max_length", max_length=TOKENS).input_ids)


def main() -> None:
    """Trains until the step count is reached."""
    args = training.arguments(__doc__, seed=SEED, steps=4900, batch=32, rate=1.5e-3, report=50)
    check_owner(args.run)
    data, scale, empty = read_latents(args.run, args.shards), scaling_factor(args.run), empty_tokens(args.run)
    vocabulary = int(empty.max()) + 1
    unet, text_encoder, cumulative = make_unet(), make_text_encoder(vocabulary), alphas()
    weights = [*unet.parameters(), *text_encoder.parameters()]
    optimiser = training.Optimiser([unet, text_encoder], args.rate, 1e-2)
    averaged = [p.detach().clone() for p in weights]
    path, parts = args.run / "unet.pt", {"unet": unet, "text_encoder": text_encoder, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, total = training.Log(path.with_suffix(".jsonl")), 0.0
    for step in range(first, args.steps):
        rate = training.rate(step, args.steps, args.rate)
        loss = v_loss(unet, text_encoder, batch_at(data, step, args.batch, scale, empty), cumulative)
        optimiser.step(loss, rate)
        training.average(averaged, weights, step)
        total += loss.item()
        if (step + 1) % args.report == 0:
            log(step=step + 1, loss=round(total / args.report, 5), rate=rate)
            total = 0.0
        if (step + 1) % EVERY == 0 or step + 1 == args.steps:
            training.keep(path, step + 1, averaged, **parts)


if __name__ == "__main__":
    main()
