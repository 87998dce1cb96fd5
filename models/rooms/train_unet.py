"""Trains the UNet and the text encoder together: python -m models.rooms.train_unet --run DIR [--steps N].

Stopped at any time, the same command goes on from the last checkpoint with the same result. v-prediction (Salimans
and Ho, 2022) on latents scaled to deviation 1; one caption in ten is empty, which is what guidance and negative
prompts need.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from partway.levels import trained

from . import training
from .latents import Shard, check_owner, read_latents, scaling_factor
from .networks import TOKENS, make_text_encoder, make_unet

SEED = 2
DROP = 0.1
# Cosine (Nichol and Dhariwal 2021): latents of half Stable Diffusion's side lose their layout at half its sigma
# (Hoogeboom et al. 2023, arXiv 2301.11093), so the middle has less noise than there; the end has more, so that
# text-to-image starts from no brightness of its own.
BETA_SCHEDULE = "squaredcos_cap_v2"
EVERY = 250  # steps between checkpoints


class Batch(NamedTuple):
    """Scaled latents (B, 4, 32, 32), tokens (B, TOKENS), timesteps (B,), noise like the latents."""

    latents: torch.Tensor
    tokens: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor


def alphas() -> torch.Tensor:
    """Cumulative alphas of the thousand timesteps, float32."""
    return torch.from_numpy(1 / (1 + trained(BETA_SCHEDULE).sigmas ** 2)).float()


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
    with torch.autocast("cpu", torch.bfloat16):
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--shards", type=int, default=28)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    check_owner(args.run)
    data, scale, empty = read_latents(args.run, args.shards), scaling_factor(args.run), empty_tokens(args.run)
    vocabulary = int(empty.max()) + 1
    unet, text_encoder, cumulative = make_unet(), make_text_encoder(vocabulary), alphas()
    weights = [*unet.parameters(), *text_encoder.parameters()]
    optimiser = training.Optimiser([unet, text_encoder], args.rate, 1e-2)
    averaged = [p.detach().clone() for p in weights]
    path, log_path = args.run / "unet.pt", args.run / "unet.jsonl"
    state, first = training.load(path), 0
    if state:
        unet.load_state_dict(state["unet"])
        text_encoder.load_state_dict(state["text_encoder"])
        averaged, first = state["averaged"], state["step"]
    if "optimiser" in state:  # not in a run that begins with a package's weights
        optimiser.load_state_dict(state["optimiser"])
    training.cut_log(log_path, first)
    log, total = training.Log(log_path), 0.0
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
            training.save(
                path, unet=unet.state_dict(), text_encoder=text_encoder.state_dict(),
                optimiser=optimiser.state_dict(), averaged=averaged, step=step + 1,
            )  # fmt: skip


if __name__ == "__main__":
    main()
