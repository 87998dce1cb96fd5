"""What makes latents keep the layout: objects must be read from them through noise.

Image-to-image keeps what survives its start noise. A small reader learns the object map from noised latents together
with the autoencoder, so that edges and outlines are loud in the latents and palettes are not. Latents aligned with
what pictures mean are also easier for diffusion to learn (Yao et al. 2025, arXiv 2501.01423).
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, pixel_shuffle

from partway_rooms.renderer import KINDS

SIGMAS = (0.4, 2.0)  # of the noise on latents of deviation 1: where strengths from 0.2 to 0.6 start
WIDTH = 48


class Reader(nn.Module):
    """Latents (B, 4, h, w) -> scores of the objects, (B, kinds, 2h, 2w): one for each 4x4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, WIDTH), nn.SiLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=reach, dilation=reach),
                nn.GroupNorm(8, WIDTH), nn.SiLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            )
            for reach in (1, 2, 4, 8, 1)
        )  # fmt: skip
        self.leave = nn.Conv2d(WIDTH, 4 * len(KINDS), 1)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Scores of the objects."""
        x = self.enter(latents)
        for block in self.blocks:
            x = x + block(x)
        return pixel_shuffle(self.leave(x), 2)


def structure_loss(
    reader: Reader, latents: torch.Tensor, objects: torch.Tensor, noise: torch.Generator
) -> torch.Tensor:
    """Cross-entropy of the objects (B, 2h, 2w) read through noise; the latents count at deviation 1."""
    low, high = SIGMAS
    sigma = low * (high / low) ** torch.rand((len(latents), 1, 1, 1), generator=noise)
    x = latents / latents.std() + sigma * torch.randn(latents.shape, generator=noise)
    scores = reader(x / (1 + sigma**2).sqrt())
    return cross_entropy(scores.float(), objects)
