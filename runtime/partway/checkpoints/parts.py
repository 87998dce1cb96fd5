"""The networks whose tensors a file holds, told apart by the beginnings of their names."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from partway.checkpoints import text_names, unet_names, vae_names
from partway.engines.weights import Weight

Weights = Mapping[str, Weight]

_PREFIXES = {
    "model.diffusion_model.": "unet",
    "unet.": "unet",
    "first_stage_model.": "vae",
    "vae.": "vae",
    "cond_stage_model.transformer.": "text_encoder",
    "cond_stage_model.model.": "text_encoder",
    "conditioner.embedders.0.transformer.": "text_encoder",
    "conditioner.embedders.0.model.": "text_encoder",  # of SDXL's refiner it is the second and only one
    "conditioner.embedders.1.model.": "text_encoder_2",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
}
"""What the tensors of each network begin with, in files of whole models."""

_ALONE = {
    "unet": re.compile(r"(input_blocks|down_blocks|time_embed|time_embedding)\."),
    "vae": re.compile(r"(encoder|decoder)\.(conv_in|mid|mid_block|down|up|down_blocks|up_blocks)\."),
    "text_encoder": re.compile(r"text_model\.|positional_embedding$"),
}
"""How to know a network whose tensors have no prefix, for they are alone in their file."""

_IDLE = re.compile(
    r"model_ema\..*|(.*\.)?(position_ids|logit_scale|attn_mask)|loss\..*"
    r"|(sqrt_)?(one_minus_)?alphas_cumprod.*|betas|sqrt_.*|log_one_minus.*|posterior_.*|lvlb_weights|logvar"
    r"|denoiser\.sigmas|v_pred|ztsnr|global_step|embedding_manager\..*|.*\.scale_input"
)
"""Tensors that no picture needs: averages of training, tables that are computed, marks."""


class Parts(NamedTuple):
    """What a file holds.

    networks  tensors under diffusers' names, by network
    openclip  the networks that had OpenCLIP's names
    others    names of tensors that belong to no network; idle: and of such as none has a use for
    """

    networks: Mapping[str, Weights]
    openclip: frozenset[str]
    others: tuple[str, ...]
    idle: tuple[str, ...]

    def having(self, network: str, weights: Weights) -> "Parts":
        """The same with a network put in."""
        return self._replace(networks={**self.networks, network: weights})


def apart(weights: Weights) -> Parts:
    """Tell the networks in a file apart, and give their tensors diffusers' names."""
    found: dict[str, dict[str, Weight]] = {}
    others: list[str] = []
    idle: list[str] = []
    alone = _alone(weights)
    for name, weight in weights.items():
        prefix = "" if alone else next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        own = name[len(prefix or "") :]
        if needless(name) or needless(own):
            idle.append(name)
        elif prefix is None:
            others.append(name)
        else:
            found.setdefault(alone or _PREFIXES[prefix], {})[own] = weight
    openclip = frozenset(part for part, own in found.items() if text_names.openclip(own))
    return Parts({part: _renamed(part, own) for part, own in found.items()}, openclip, tuple(others), tuple(idle))


def needless(name: str) -> bool:
    """Whether no picture needs a tensor of this name."""
    return _IDLE.fullmatch(name) is not None


def _alone(weights: Weights) -> str | None:
    if any(name.startswith(tuple(_PREFIXES)) for name in weights):
        return None
    return next((part for part, mark in _ALONE.items() if any(map(mark.match, weights))), None)


def _renamed(part: str, weights: Weights) -> dict[str, Weight]:
    if part.startswith("text_encoder"):
        return text_names.translated(weights)
    if part == "vae":
        names = vae_names.translated(weights)
    else:
        names = unet_names.translated(weights) if unet_names.original(weights) else {name: name for name in weights}
    return {names[name]: weight for name, weight in weights.items()}


def levels(weights: Weights, blocks: str) -> int:
    """How many of ``blocks`` there are, as ``down_blocks`` in ``down_blocks.0.resnets...``."""
    return len(children(weights, blocks))


def children(weights: Weights, layer: str) -> Sequence[int]:
    """The numbers under which ``layer`` has layers of its own, in order."""
    start = f"{layer}."
    numbers = {name[len(start) :].partition(".")[0] for name in weights if name.startswith(start)}
    return sorted(int(number) for number in numbers if number.isdecimal())
