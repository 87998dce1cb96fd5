"""Low-rank adapters (Hu et al., 2021) beside a network's layers, and their files, in kohya's names.

The layer W x becomes W x + scale * alpha / rank * up(down x); alpha is the rank here, so that the factor is 1.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

ATTENTION = r"attentions\..*\.(to_[qkv]|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)$"
ALL = ATTENTION + r"|\.(conv1|conv2|conv_shortcut|time_emb_proj)$|samplers\.0\.conv$"


def kohya(name: str) -> str:
    """A layer of the UNet by kohya's name."""
    return "lora_unet_" + name.replace(".", "_")


def _pair(layer: nn.Module, rank: int) -> nn.ModuleList:
    """Down, of kaiming's deviation, and up, which begins at zero."""
    if isinstance(layer, nn.Conv2d):
        size: Any = layer.kernel_size
        down: nn.Module = nn.Conv2d(layer.in_channels, rank, size, layer.stride, layer.padding, bias=False)
        up: nn.Module = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
    else:
        assert isinstance(layer, nn.Linear)
        down, up = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, bias=False)
    for name, weight in (("down", down.weight), ("up", up.weight)):
        assert isinstance(weight, torch.Tensor)
        if name == "down":
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        else:
            nn.init.zeros_(weight)
    return nn.ModuleList([down, up])


class Lora(nn.Module):
    """An adapter of the layers whose names match a pattern, in force while `scale` is not 0."""

    def __init__(self, network: nn.Module, pattern: str, rank: int) -> None:
        super().__init__()
        self.rank, self.scale = rank, 1.0
        chosen = {
            name: layer
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and re.search(pattern, name)
        }
        self.pairs = nn.ModuleDict({kohya(name): _pair(layer, rank) for name, layer in chosen.items()})
        self.to(next(network.parameters()).device)
        for name, layer in chosen.items():
            layer.register_forward_hook(self._hook(kohya(name)))

    def _hook(self, name: str) -> Any:
        pair = self.pairs[name]
        assert isinstance(pair, nn.ModuleList)
        down, up = pair

        def added(_: nn.Module, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> torch.Tensor:
            return out + self.scale * up(down(inputs[0])) if self.scale else out

        return added

    def write(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Writes float16 weights and alphas."""
        tensors = {}
        for name, pair in self.pairs.items():
            assert isinstance(pair, nn.ModuleList)
            for kind, layer in zip(("lora_down", "lora_up"), pair, strict=True):
                tensors[f"{name}.{kind}.weight"] = layer.weight.detach().half().cpu().contiguous()
            tensors[f"{name}.alpha"] = torch.tensor(float(self.rank)).half()
        known = {"ss_network_module": "networks.lora", "ss_network_dim": str(self.rank)}
        save_file(tensors, path, known | {"ss_network_alpha": str(self.rank)} | dict(metadata))


@torch.no_grad()
def read(path: Path, network: nn.Module) -> Lora:
    """A written adapter beside a network."""
    tensors = load_file(path)
    names = {key.split(".")[0] for key in tensors}
    rank = int(next(value for key, value in tensors.items() if key.endswith(".alpha")))
    layers = [name for name, _ in network.named_modules() if kohya(name) in names]
    lora = Lora(network, "^(" + "|".join(map(re.escape, layers)) + ")$", rank)
    for name, pair in lora.pairs.items():
        assert isinstance(pair, nn.ModuleList)
        for kind, layer in zip(("lora_down", "lora_up"), pair, strict=True):
            layer.weight.copy_(tensors[f"{name}.{kind}.weight"])
    return lora
