"""The UNet's tensors under diffusers' names, from those of the original code (CompVis, Stability), which files keep.

The original counts all layers on the way down and all on the way up, ``input_blocks.7.1``; diffusers counts levels, and
layers within each. Only names differ, and the shape of two layers: the bytes are the same.
"""

import re
from collections.abc import Iterable

_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
"""The layers of a residual block."""

_ENDS = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "time_embed.cond_proj": "time_embedding.cond_proj",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
"""What is no part of a level."""

_BLOCK = re.compile(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)")
_MIDDLE = re.compile(r"middle_block\.(\d)\.(.+)")


def original(names: Iterable[str]) -> bool:
    """Whether these are the original code's names."""
    return any(name.startswith("input_blocks.") for name in names)


def translated(names: Iterable[str]) -> dict[str, str]:
    """diffusers' name of each tensor; what has no place in the UNet keeps its own."""
    names = list(names)
    downs = [int(name.split(".")[1]) for name in names if re.fullmatch(r"input_blocks\.\d+\.0\.op\.weight", name)]
    level = min(downs, default=3)  # layers on the way down, and one that halves the size; as many on the way up
    return {name: _translate(name, level) for name in names}


def _translate(name: str, level: int) -> str:
    layer, _, kind = name.rpartition(".")
    if layer in _ENDS:
        return f"{_ENDS[layer]}.{kind}"
    if found := _BLOCK.fullmatch(layer):
        side, place, first, rest = found[1], int(found[2]), found[3] == "0", found[4]
        block, index = divmod(place - (side == "input"), level)
        blocks = f"{'down' if side == 'input' else 'up'}_blocks.{block}"
        if rest == "op":
            return f"{blocks}.downsamplers.0.conv.{kind}"
        if rest == "conv":
            return f"{blocks}.upsamplers.0.conv.{kind}"
        return f"{blocks}.{_within(rest, index, resnet=first)}.{kind}"
    if found := _MIDDLE.fullmatch(layer):
        place, rest = int(found[1]), found[2]
        return f"mid_block.{_within(rest, place // 2, resnet=place != 1 or rest in _LAYERS)}.{kind}"
    return name


def _within(rest: str, index: int, *, resnet: bool) -> str:
    """A layer of a residual block, or else of a transformer, by which of them it is."""
    return f"resnets.{index}.{_LAYERS.get(rest, rest)}" if resnet else f"attentions.{index}.{rest}"
