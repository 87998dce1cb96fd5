"""Encodes the pictures once: python -m models.rooms.latents --run DIR --shards N.

Shard k of `latents/` holds the latents of the pictures of shard k of `renders/` (drawn here when not on disk) and the
tokens of several captions for each. They belong to one autoencoder; its checksum stands beside them, and latents of
another are refused.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from . import training
from .networks import TOKENS
from .renders import SHARD, open_shard, pictures, shard_path
from .tokenizer import captions
from .training import to_input

VARIANTS = 4


class Shard(NamedTuple):
    """Unscaled latents (512, 4, 32, 32) float16 and tokens (512, VARIANTS, TOKENS) int64."""

    latents: NDArray[np.float16]
    tokens: NDArray[np.int64]


def checksum(run: Path) -> str:
    """SHA-256 of the autoencoder's and the tokenizer's files."""
    total = hashlib.sha256()
    for name in ("vae/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt"):
        total.update((run / name).read_bytes())
    return total.hexdigest()


def latents_path(run: Path, index: int) -> Path:
    """Where a shard lies."""
    return run / "latents" / f"{index:05d}.npz"


def read_latents(run: Path, count: int) -> Shard:
    """The first shards together, in memory (about 5 MB a shard)."""
    return joined(latents_path(run, index) for index in range(count))


def joined(paths: Iterable[Path]) -> Shard:
    """Shards one after the other."""
    parts = [np.load(path) for path in paths]
    return Shard(*(np.concatenate([part[name] for part in parts]) for name in Shard._fields))


def scaling_factor(run: Path) -> float:
    """One over the deviation of the latents of the first shard, as Stable Diffusion defines it.

    Without shards the autoencoder comes from a package, and its configuration says it.
    """
    if not latents_path(run, 0).exists():
        return float(AutoencoderKL.load_config(run / "vae")["scaling_factor"])
    return float(1 / np.load(latents_path(run, 0))["latents"].astype(np.float64).std())


@torch.no_grad()
def encode(vae: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Means of the posterior, (B, 4, h, w)."""
    with training.quick():
        found = vae.encode(to_input(pixels).contiguous(memory_format=torch.channels_last)).latent_dist.mode()
    return np.asarray(found.float().numpy().astype(np.float16))


def write_latents(run: Path, index: int, vae: Any, tokenizer: Any) -> None:
    """Encodes one shard; it appears at once and whole."""
    if shard_path(run, index).exists():
        pixels = open_shard(run, index)
    else:
        pixels = np.stack([p.pixels for p in pictures(index * SHARD, SHARD)])
    latents = np.concatenate([encode(vae, pixels[i : i + 16]) for i in range(0, SHARD, 16)])
    texts = [text for seed in range(index * SHARD, (index + 1) * SHARD) for text in captions(seed, VARIANTS)]
    keep(latents_path(run, index), latents, texts, tokenizer)


def keep(path: Path, latents: NDArray[np.float16], texts: list[str], tokenizer: Any) -> None:
    """Writes a shard of latents and of the tokens of `VARIANTS` texts for each; it appears at once and whole."""
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="np").input_ids
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez(file, latents=latents, tokens=tokens.reshape(-1, VARIANTS, TOKENS).astype(np.uint16))
    os.replace(temporary, path)


def check_owner(run: Path, folder: str = "latents") -> None:
    """Raises SystemExit when the latents in a folder were made with another autoencoder or tokenizer."""
    path, mine = run / folder / "made_with.json", checksum(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and json.loads(path.read_text())["sha256"] != mine:
        raise SystemExit(f"{path.parent} belongs to another autoencoder or tokenizer: move it away and encode again")
    path.write_text(json.dumps({"sha256": mine}))


def main() -> None:
    """Encodes the shards that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--shards", type=int, default=28)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    check_owner(args.run)
    vae = AutoencoderKL.from_pretrained(args.run / "vae").to(memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
    for index in range(args.first, args.shards):
        if not latents_path(args.run, index).exists():
            write_latents(args.run, index, vae, tokenizer)
            print(f"latents {index}", flush=True)


if __name__ == "__main__":
    main()
