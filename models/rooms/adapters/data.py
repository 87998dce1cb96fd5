"""Draws and encodes what the adapters learn from: python -m models.rooms.adapters.data --run DIR --minutes 1.5.

Writes `DIR/adapters/data.npz`: as many rooms as are drawn in that time, and each mirrored.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from partway_rooms import FOLDER

from ..networks import TOKENS
from .drawn import VARIANTS, Room, mirrored, rooms

BATCH = 16  # rooms encoded at once


class Data(NamedTuple):
    """Of each of N rooms, in the order own look, other look, blueprint: scaled latents (N, 3, 4, 32, 32) float16,
    tokens (N, 3, VARIANTS, TOKENS) uint16; lines of the two looks (N, 2, 8192) uint8 in bits; the empty caption's
    tokens (TOKENS,).
    """

    latents: NDArray[np.float16]
    tokens: NDArray[np.uint16]
    lines: NDArray[np.uint8]
    empty: NDArray[np.uint16]


def scale() -> float:
    """What the shipped model multiplies latents with."""
    return float(json.loads((FOLDER / "vae_encoder" / "config.json").read_text())["scaling_factor"])


def device(name: str | None = None) -> torch.device:
    """The named device, or a GPU where there is one; its products are in TensorFloat-32."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def to_tokens(tokenizer: Any, texts: list[str]) -> NDArray[np.uint16]:
    """Tokens of captions, (B, TOKENS)."""
    found = tokenizer(texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="np")
    return np.asarray(found.input_ids).astype(np.uint16)


@torch.no_grad()
def encode(vae: Any, pixels: NDArray[np.uint8], on: torch.device) -> NDArray[np.float16]:
    """Scaled means of the posterior of pictures (B, 256, 256, 3), (B, 4, 32, 32)."""
    x = torch.from_numpy(pixels).to(on).permute(0, 3, 1, 2).float() / 127.5 - 1
    found = vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mode() * scale()
    return np.asarray(found.half().cpu().numpy())


def batches(drawn: Iterator[Room]) -> Iterator[list[Room]]:
    """Rooms in groups of `BATCH`, the last perhaps smaller."""
    waiting: list[Room] = []
    for room in drawn:
        waiting += [room, mirrored(room)]
        if len(waiting) >= BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def main() -> None:
    """Draws, encodes, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rooms", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device")
    args = parser.parse_args()
    started, latents, texts, lines = time.monotonic(), [], [], []
    with rooms(args.workers, args.minutes * 60, args.rooms) as drawn:  # the processes begin before a GPU is touched
        on = device(args.device)
        vae = AutoencoderKL.from_pretrained(args.run / "vae").to(on, memory_format=torch.channels_last)
        tokenizer = CLIPTokenizer.from_pretrained(args.run / "tokenizer")
        for group in batches(drawn):
            latents.append(encode(vae, np.concatenate([room.pixels for room in group]), on))
            texts += [text for room in group for captions in room.captions for text in captions]
            lines += [np.packbits(room.lines, axis=None).reshape(2, -1) for room in group]
    (args.run / "adapters").mkdir(parents=True, exist_ok=True)
    found = Data(
        np.concatenate(latents).reshape(-1, 3, *latents[0].shape[1:]),
        to_tokens(tokenizer, texts).reshape(-1, 3, VARIANTS, TOKENS),
        np.stack(lines),
        to_tokens(tokenizer, [""])[0],
    )
    np.savez(args.run / "adapters" / "data.npz", **found._asdict())
    print(f"{len(lines)} rooms in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
