"""How many numbers a network's call works with, from the model's configuration and the size of its inputs.

The UNet's, for one array of its batch::

    3 * widest * n  +  (8 * channels + tokens * heads) * a  +  heads * a ** 2

``n`` is the pixels of the latents, and ``widest`` the channels of the widest input: a level's own and those that come
up from the next one, where each level counts a quarter of the one above. ``a`` is the pixels of the finest level with
attention, whose feed-forward layers multiply its ``channels``. The last term is the scores of self-attention, for
engines that write them out. The VAE's are ``widest`` for each pixel of the picture, or its own scores.

`partway.engines.table.Rates` has the factors of these, found by measuring single networks at several sizes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from partway.engines.table import Rates
from partway.graphs import CONTROLS, IMAGE_ADAPTER, IMAGE_ENCODER, TINY, TOKENIZERS
from partway.model.package import Package
from partway.model.tokens import LENGTH

_TINY = 64  # channels of a tiny autoencoder at the size of the picture


class Work(NamedTuple):
    """What a run asks of networks.

    unet, vae  height and width of the latents that each is shown
    batch      the UNet's
    released   whether each stage's networks are released before the next
    """

    unet: tuple[int, int]
    vae: tuple[int, int]
    batch: int
    released: bool = False


def activations(package: Package, network: str, stored: str, work: Work, rates: Rates) -> float:
    """The numbers that a network's call works with, for weights that are stored so; those of text are too few."""
    if network in (*TOKENIZERS, IMAGE_ENCODER, IMAGE_ADAPTER):
        return 0.0
    if network.startswith("unet") or network in CONTROLS:  # also a segment, which holds what earlier ones gave
        return _unet(package.config("unet"), stored, work, rates)
    pixels = work.vae[0] * work.vae[1] * package.vae_scale_factor**2
    if network in TINY:
        return float(rates.vae * _TINY * pixels)
    config = package.config(network) or package.config("vae_decoder")
    features = rates.vae * _widest_of_vae(config, network) * pixels
    attends = rates.scores and config.get("mid_block_add_attention", True)
    scores = float((work.vae[0] * work.vae[1]) ** 2) if attends else 0.0
    if network == "vae_encoder":  # attends last, when it still holds its features
        return features + scores
    # The decoder attends first, and its widest level works in the same memory.
    return max(features, scores) * (rates.later if work.released else 1)


def _widest_of_vae(config: Mapping[str, Any], network: str) -> float:
    """Channels of the widest level, at the size of the picture; the decoder's levels begin with those of the next."""
    channels = config.get("block_out_channels", [128, 256, 512, 512])
    inputs = channels if network == "vae_encoder" else [*channels[1:], channels[-1]]
    return max(count / 4**level for level, count in enumerate(inputs))


def _unet(config: Mapping[str, Any], stored: str, work: Work, rates: Rates) -> float:
    channels = list(config.get("block_out_channels", [320, 640, 1280, 1280]))
    kinds = config.get("down_block_types", ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"])
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)  # both mean the number of heads
    heads = list(heads) if isinstance(heads, list) else [heads] * len(channels)
    pixels = work.unet[0] * work.unet[1]
    below = channels[1:] + channels[-1:]
    widest = max((own + more) / 4**level for level, (own, more) in enumerate(zip(channels, below, strict=True)))
    finest = next((i for i, kind in enumerate(kinds[: len(channels)]) if "CrossAttn" in kind), len(channels) - 1)
    attending = pixels / 4**finest
    features = pixels * 3 * widest + attending * (8 * channels[finest] + heads[finest] * LENGTH)
    each = rates.unet[stored] * features + (heads[finest] * attending**2 if rates.scores else 0)
    widened = rates.widened * max(channels) ** 2 if stored == "int8" else 0
    return work.batch * each + widened
