"""The autoencoder's networks in plain torch: for training where diffusers is not installed.

Parts have the names that diffusers' `AutoencoderKL` and `AutoencoderTiny` give them, so weights go from one to the
other as they are. Sizes are those of `networks.make_vae` and `networks.make_tiny_vae`.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import interpolate, pad, silu

CHANNELS = (16, 32, 96, 160)
GROUPS = 8
TINY_WIDTH = 32
TINY_BLOCKS = (3, 2, 1, 0)
WEIGHTS = "diffusion_pytorch_model.safetensors"


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class Resnet(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2, self.conv2 = _norm(outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, h, w) -> (B, outside, h, w)."""
        h = self.conv1(silu(self.norm1(x)))
        return self.conv_shortcut(x) + self.conv2(silu(self.norm2(h)))


class Upsample(nn.Module):
    """Doubles the side, then convolves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, C, 2h, 2w)."""
        return self.conv(interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    """Halves the side by a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, 2h, 2w) -> (B, C, h, w)."""
        return self.conv(pad(x, (0, 1, 0, 1)))


class Level(nn.Module):
    """Resnets of one side, then a change of side where there is one."""

    def __init__(self, inside: int, outside: int, layers: int, *, change: str | None = None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(inside if i == 0 else outside, outside) for i in range(layers))
        if change == "up":
            self.upsamplers = nn.ModuleList([Upsample(outside)])
        if change == "down":
            self.downsamplers = nn.ModuleList([Downsample(outside)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inside, h, w) -> (B, outside, h', w')."""
        for part in (part for parts in self.children() for part in parts.children()):
            x = part(x)
        return x


class Encoder(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to what `quant_conv` makes means and log variances of, (B, 8, H / 8, W / 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, CHANNELS[0], 3, padding=1)
        pairs = zip((CHANNELS[0], *CHANNELS), CHANNELS, strict=False)
        changes = ("down", "down", "down", None)
        self.down_blocks = nn.ModuleList(Level(i, o, 1, change=c) for (i, o), c in zip(pairs, changes, strict=True))
        self.mid_block = Level(CHANNELS[-1], CHANNELS[-1], 2)
        self.conv_norm_out, self.conv_out = _norm(CHANNELS[-1]), nn.Conv2d(CHANNELS[-1], 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moments before their last convolution."""
        x = self.conv_in(x)
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """What `post_quant_conv` makes of latents, (B, 4, h, w), to pictures (B, 3, 8h, 8w), about [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        wide = CHANNELS[::-1]
        self.conv_in = nn.Conv2d(4, wide[0], 3, padding=1)
        self.mid_block = Level(wide[0], wide[0], 2)
        pairs, changes = zip((wide[0], *wide), wide, strict=False), ("up", "up", "up", None)
        self.up_blocks = nn.ModuleList(Level(i, o, 2, change=c) for (i, o), c in zip(pairs, changes, strict=True))
        self.conv_norm_out, self.conv_out = _norm(wide[-1]), nn.Conv2d(wide[-1], 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures."""
        x = self.mid_block(self.conv_in(x))
        for level in self.up_blocks:
            x = level(x)
        return self.conv_out(silu(self.conv_norm_out(x)))


class LatentDecoder(nn.Module):
    """`post_quant_conv` and the decoder: what a package calls `vae_decoder`."""

    def __init__(self) -> None:
        super().__init__()
        self.post_quant_conv, self.decoder = nn.Conv2d(4, 4, 1), Decoder()

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, 4, h, w), unscaled, to pictures (B, 3, 8h, 8w)."""
        return self.decoder(self.post_quant_conv(latents))


class LatentEncoder(nn.Module):
    """The encoder and `quant_conv`: what a package calls `vae_encoder`, without its spread."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.quant_conv = Encoder(), nn.Conv2d(8, 8, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to the means of their latents, (B, 4, H / 8, W / 8), unscaled."""
        return self.quant_conv(self.encoder(pixels))[:, :4]


class TinyBlock(nn.Module):
    """Three convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(width, width, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, h, w), as it came in."""
        return torch.relu(self.conv(x) + x)


class TinyDecoder(nn.Module):
    """The decoder of `AutoencoderTiny`: scaled latents (B, 4, h, w) to pictures (B, 3, 8h, 8w), about [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(4, TINY_WIDTH, 3, padding=1), nn.ReLU()]
        for level, blocks in enumerate(TINY_BLOCKS):
            layers += [TinyBlock(TINY_WIDTH) for _ in range(blocks)]
            last = level == len(TINY_BLOCKS) - 1
            if not last:
                layers.append(nn.Upsample(scale_factor=2))
            layers.append(nn.Conv2d(TINY_WIDTH, 3 if last else TINY_WIDTH, 3, padding=1, bias=last))
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures."""
        return self.layers(torch.tanh(latents / 3) * 3) * 2 - 1


def load_autoencoder(folder: Path) -> tuple[LatentEncoder, LatentDecoder]:
    """Encoder and decoder with the weights of a folder that `AutoencoderKL.save_pretrained` wrote, as float32."""
    weights = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
    encoder, decoder = LatentEncoder(), LatentDecoder()
    encoder.load_state_dict(_part(weights, ("encoder.", "quant_conv.")))
    decoder.load_state_dict(_part(weights, ("decoder.", "post_quant_conv.")))
    return encoder.eval(), decoder.eval()


def _part(weights: Mapping[str, torch.Tensor], starts: tuple[str, ...]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(starts)}
