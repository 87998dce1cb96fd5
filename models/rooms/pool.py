"""The pictures drawn so far, on the device that trains, with the latents that the encoder makes of them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from .drawing import CHECKS
from .training import to_input


def check_pictures(folder: Path) -> torch.Tensor:
    """The pictures to steer by, (N, 3, side, side) in [-1, 1]; waits until they are drawn."""
    paths = [folder / "check" / f"{index:06d}.npy" for index in range(CHECKS)]
    while not all(path.exists() for path in paths):
        time.sleep(0.2)
    return to_input(np.concatenate([np.load(path) for path in paths]))


class Pool:
    """Pictures and their latents, growing until it is full.

    pixels (N, side, side, 3) uint8 and latents (N, 2, 4, side / 8, side / 8): of the picture and of its mirror image
    """

    def __init__(
        self, folder: Path, encode: Callable[[torch.Tensor], torch.Tensor], *, side: int, size: int, device: str
    ) -> None:
        self.folder, self.encode, self.device, self.count = folder / "pool", encode, device, 0
        self.pixels = torch.empty((size, side, side, 3), dtype=torch.uint8, device=device)
        self.latents = torch.empty((size, 2, 4, side // 8, side // 8), device=device)
        self.seen: set[str] = set()

    def grow(self, files: int = 8) -> None:
        """Takes in a few of the chunks that have been drawn since."""
        new = sorted(set(os.listdir(self.folder)) - self.seen) if self.folder.exists() else []
        for name in [name for name in new if name.endswith(".npy")][:files]:
            pixels = torch.from_numpy(np.load(self.folder / name)).to(self.device)
            if self.count + len(pixels) > len(self.pixels):
                return
            self.seen.add(name)
            x, area = to_model(pixels), slice(self.count, self.count + len(pixels))
            self.pixels[area] = pixels
            self.latents[area] = torch.stack([self.encode(x), self.encode(x.flip(3))], 1)
            self.count += len(pixels)

    def wait(self, count: int) -> None:
        """Grows until so many pictures are there."""
        while self.count < count:
            self.grow()
            time.sleep(0.2)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (B, 4, h, w) and their pictures (B, 3, H, W) in [-1, 1], drawn at random, half of them mirrored."""
        chosen = torch.randint(self.count, (count,), device=self.device)
        mirrored = torch.randint(2, (count,), device=self.device)
        x = to_model(self.pixels[chosen])
        x = torch.where(mirrored.bool()[:, None, None, None], x.flip(3), x)
        return self.latents[chosen, mirrored], x.contiguous(memory_format=torch.channels_last)


def to_model(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [-1, 1], on the device where they are."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
