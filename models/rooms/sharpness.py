"""What a decoder is asked for beside the distance of pixels: losses that blur cannot please, and their balance."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, leaky_relu, relu
from torch.nn.utils.parametrizations import spectral_norm

from .detail import OCTAVES
from .probe import Probe

WINDOWS = (8, 16)  # pixels across which the energy of each of the upper two octaves is compared
SLOPE = 0.2


def pixel_loss(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Distance of pictures (B, 3, H, W): the mean PSNR, and absolute errors of pixels and of each latent's area."""
    error = y - x
    squares = error.square().mean((1, 2, 3))
    return (squares + 1e-4).log().mean() + 5 * error.abs().mean() + 2 * avg_pool2d(error, 8).abs().mean()


def octaves(x: torch.Tensor) -> list[torch.Tensor]:
    """The upper two octaves of pictures (B, 3, H, W), each a picture."""
    height, width = x.shape[2:]
    rows, columns = torch.fft.fftfreq(height, device=x.device), torch.fft.rfftfreq(width, device=x.device)
    radius = (rows.square()[:, None] + columns.square()[None, :]).sqrt()
    waves = torch.fft.rfft2(x.float())
    return [torch.fft.irfft2(waves * ((radius > low) & (radius <= high)), (height, width)) for low, high in OCTAVES]


def energy_losses(y: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    """For each of the upper two octaves, how far its contrast is from what it should be, place by place."""
    losses = []
    for of_y, of_x, window in zip(octaves(y), octaves(x), WINDOWS, strict=True):
        a, b = (avg_pool2d(v.square().sum(1, keepdim=True), window, window // 2) for v in (of_y, of_x))
        losses.append(((a + 1e-5) ** 0.25 - (b + 1e-5) ** 0.25).abs().mean())
    return losses


def probe_loss(probe: Probe, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Distance of the probe's features at every level, each place's scaled to length 1 (Zhang et al., 2018)."""
    total = torch.zeros((), device=y.device)
    with torch.no_grad():
        wanted = _levels(probe, x)
    for a, b in zip(_levels(probe, y), wanted, strict=True):
        total = total + (_unit(a) - _unit(b)).square().sum(1).mean()
    return total


def _levels(probe: Probe, x: torch.Tensor) -> list[torch.Tensor]:
    found = []
    for down in probe.down:
        x = down(x)
        found.append(x)
    return found


def _unit(x: torch.Tensor) -> torch.Tensor:
    x = x.float()
    return x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt()


class Critic(nn.Module):
    """Tells renders from decoded pictures, patch by patch, given the latents (Isola et al., 2017).

    Weights have spectral norm 1 (Miyato et al., 2018). It judges at two sizes: patches of 10 pixels for textures and of
    62 for outlines.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 48), (48, 96), (96, 160))
        self.down = nn.ModuleList(spectral_norm(nn.Conv2d(i, o, 4, stride=2, padding=1)) for i, o in sizes)
        self.mix = spectral_norm(nn.Conv2d(160 + 4, 160, 3, padding=1))
        self.fine, self.coarse = (spectral_norm(nn.Conv2d(width, 1, 3, padding=1)) for width in (96, 160))

    def forward(self, pictures: torch.Tensor, latents: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Scores at two sizes, higher for renders, and features of four levels.

        pictures: (B, 3, H, W) in [-1, 1]; latents: (B, 4, H / 8, W / 8), scaled
        """
        features, x = [], pictures
        for layer in self.down:
            x = leaky_relu(layer(x), SLOPE)
            features.append(x)
        mixed = leaky_relu(self.mix(torch.cat([x, latents.to(x.dtype)], 1)), SLOPE)
        return [self.fine(features[1]).float(), self.coarse(mixed).float()], [*features, mixed]


def critic_loss(critic: Critic, y: torch.Tensor, x: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Hinge loss of the critic on decoded pictures and renders."""
    scores, _ = critic(torch.cat([y, x]), torch.cat([latents, latents]))
    halves = [score.chunk(2) for score in scores]
    return torch.stack([relu(1 + of_y).mean() + relu(1 - of_x).mean() for of_y, of_x in halves]).mean()


def critic_losses(
    critic: Critic, y: torch.Tensor, x: torch.Tensor, latents: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder is asked for: a good score, and the features of the render (Wang et al., 2018)."""
    scores, features = critic(y, latents)
    with torch.no_grad():
        _, wanted = critic(x, latents)
    pairs = [(a.float(), b.float()) for a, b in zip(features, wanted, strict=True)]
    distances = [(a - b).abs().mean() / (b.abs().mean() + 1e-6) for a, b in pairs]
    return -torch.stack([score.mean() for score in scores]).mean(), torch.stack(distances).mean()


class Balance:
    """Weights losses by the size of their gradients at the picture (Defossez et al., 2022, arXiv 2210.13438).

    A weight is then a loss's share in what moves the decoder, whatever the loss's own scale.
    """

    def __init__(self) -> None:
        self.sizes: dict[str, torch.Tensor] = {}

    def __call__(
        self, losses: Mapping[str, torch.Tensor], weights: Mapping[str, float], pictures: torch.Tensor
    ) -> torch.Tensor:
        """The gradient for the pictures (B, 3, H, W) that the losses were made of."""
        total = torch.zeros_like(pictures)
        for name in [name for name in losses if weights[name]]:
            gradient = torch.autograd.grad(losses[name], pictures, retain_graph=True)[0]
            size = gradient.norm()
            self.sizes[name] = size.lerp(self.sizes.get(name, size), 0.98)
            total += weights[name] / (self.sizes[name] + 1e-12) * gradient
        return total


class Steering:
    """Turns the weights between checks until the decoder keeps what is wanted at the least cost.

    Each octave's weight follows the share of detail that is kept; the critic has as much as the PSNR leaves it.
    """

    def __init__(self, floor: float, share: float) -> None:
        self.floor, self.share = floor, share  # dB, and of the renders' gradient energy
        self.octaves, self.critic = [0.3] * len(OCTAVES), 0.3

    def __call__(self, psnr: float, shares: Sequence[float]) -> None:
        """Moves every weight a little, by what a check found."""
        wanted = [self.share - share for share in shares]
        self.octaves = [_turned(w, by / 0.15, 0.02, 3.0) for w, by in zip(self.octaves, wanted, strict=True)]
        self.critic = _turned(self.critic, (psnr - self.floor) / 0.15, 0.02, 1.0)

    def weights(self, ramp: float) -> dict[str, float]:
        """The share of each loss: all of it at a ramp of 1, only pixels and probe at 0."""
        steered = {f"octave {index}": ramp * weight for index, weight in enumerate(self.octaves)}
        return {"pixels": 1.0, "probe": 0.3, "critic": ramp * self.critic, "features": ramp * self.critic} | steered


def _turned(weight: float, by: float, low: float, high: float) -> float:
    return min(max(weight * math.exp(0.12 * min(max(by, -1.0), 1.0)), low), high)
