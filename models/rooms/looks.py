"""Rooms in several looks, as latents: python -m models.rooms.looks --run DIR --shards N.

Shard k of `looks/` holds rooms k * 128 ..., each drawn as it is and in three other styles, with captions of each: what
a picture should become when another style is asked for. In half of these the light and the medium stay, too.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from partway_rooms.renderer import STYLES, caption_of, dress, render, sample_layout, sample_look
from partway_rooms.renderer.looks import Look

from . import training
from .latents import VARIANTS, Shard, check_owner, encode, joined, keep
from .networks import SIZE
from .train_unet import SIGMAS, Batch

LOOKS = 4
ROOMS = 128  # in a shard
SHARDS = 8
FOLDER = "looks"
SEED = 21
NOISE = (0.12, 1.6)  # sigmas of the starts: strength 0.45 begins at 0.65
HALFWAY = 0.5  # of the starts have gone a part of the way to the other look, as later steps have


def looks_of(room: int) -> list[Look]:
    """A training room's own look, and others of different styles."""
    own = sample_look(room)
    rng = np.random.default_rng([SEED, room])
    styles = [str(name) for name in rng.permutation([name for name in STYLES if name != own.style])[: LOOKS - 1]]
    found = [own]
    for style in styles:
        kept = {"light": own.light, "medium": own.medium} if rng.random() < 0.5 else {}
        found.append(sample_look(int(rng.integers(1 << 31)), style=style, **kept))
    return found


def looks_path(run: Path, index: int) -> Path:
    """Where a shard lies."""
    return run / FOLDER / f"{index:05d}.npz"


def read_looks(run: Path, count: int) -> Shard:
    """The first shards together: latents (N, LOOKS, 4, 32, 32), tokens (N, LOOKS, VARIANTS, TOKENS)."""
    latents, tokens = joined(looks_path(run, index) for index in range(count))
    return Shard(latents.reshape(-1, LOOKS, *latents.shape[1:]), tokens.reshape(-1, LOOKS, *tokens.shape[1:]))


def each_look(rooms: Shard) -> Shard:
    """The looks of all rooms one after the other, each with its own captions."""
    return Shard(*(values.reshape((-1, *values.shape[2:])) for values in rooms))


def starts(data: Shard, step: int, size: int, scale: float, seed: int) -> tuple[Batch, torch.Tensor]:
    """Batch of sources with the captions of another look, and the scaled latents of that look, like the sources'."""
    rng = np.random.default_rng([seed, step])
    rooms = rng.integers(len(data.latents), size=size)
    source = rng.integers(LOOKS, size=size)
    asked = (source + rng.integers(1, LOOKS, size=size)) % LOOKS
    tokens = data.tokens[rooms, asked, rng.integers(data.tokens.shape[2], size=size)].astype(np.int64)
    before, after = (torch.from_numpy(data.latents[rooms, one].astype(np.float32) * scale) for one in (source, asked))
    way = torch.from_numpy(np.where(rng.random(size) < HALFWAY, rng.random(size), 0).astype(np.float32))
    low, high = np.log(NOISE)
    sigmas = np.exp(low + (high - low) * (rng.permutation(size) + rng.random(size)) / size)
    timesteps = torch.from_numpy(np.searchsorted(SIGMAS, sigmas).astype(np.int64))
    noise = torch.randn(before.shape, generator=training.generator(seed, step))
    return Batch(torch.lerp(before, after, way.view(-1, 1, 1, 1)), torch.from_numpy(tokens), timesteps, noise), after


def write_looks(run: Path, index: int, vae: Any, tokenizer: Any) -> None:
    """Draws and encodes one shard; it appears at once and whole."""
    latents, texts = [], []
    for room in range(index * ROOMS, (index + 1) * ROOMS):
        layout, looks = sample_layout(room), looks_of(room)
        latents.append(encode(vae, np.stack([render(layout, look, SIZE).pixels for look in looks])))
        for look in looks:
            texts += [caption_of(layout, look, dress(look).names, variant) for variant in range(VARIANTS)]
    path = looks_path(run, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    keep(path, np.concatenate(latents), texts, tokenizer)


def main() -> None:
    """Draws the shards that are not there yet, every `--parts`-th one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    check_owner(args.run, FOLDER)
    vae = AutoencoderKL.from_pretrained(args.run / "vae").to(memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    for index in range(args.part, args.shards, args.parts):
        if not looks_path(args.run, index).exists():
            write_looks(args.run, index, vae, tokenizer)
            print(f"looks {index}", flush=True)


if __name__ == "__main__":
    main()
