"""Tensors of ControlNets and T2I-Adapters under diffusers' names, from those of their authors' files."""

import re
from collections.abc import Mapping

from partway.checkpoints import unet_names
from partway.engines.weights import Weight

_WHOLE = "control_model."  # in files that hold the ControlNet beside its model
_HINTS = "input_hint_block"
_LAST_HINT = 14
_HINT = re.compile(rf"{_HINTS}\.(\d+)\.(weight|bias)")
_ZERO = re.compile(r"zero_convs\.(\d+)\.0\.(weight|bias)")
_ADAPTER_BLOCK = re.compile(r"body\.(\d+)\.(in_conv|block1|block2)\.(weight|bias)")
_LIGHT_BLOCK = re.compile(r"body\.(\d+)\.body\.(\d+)\.(block1|block2)\.(weight|bias)")


def controlnet(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """A ControlNet's; of a file that also holds its model, that is left out. What has no place keeps its own name."""
    own = {name.removeprefix(_WHOLE): one for name, one in weights.items() if name.startswith(_WHOLE)} or weights
    if not any(name.startswith(_HINTS) for name in own):
        return dict(own)
    names = unet_names.translated(own)
    return {_controlnet(name, names[name]): weight for name, weight in own.items()}


def _controlnet(name: str, of_unet: str) -> str:
    if found := _HINT.fullmatch(name):
        place = int(found[1])
        layer = "conv_in" if place == 0 else "conv_out" if place == _LAST_HINT else f"blocks.{place // 2 - 1}"
        return f"controlnet_cond_embedding.{layer}.{found[2]}"
    if found := _ZERO.fullmatch(name):
        return f"controlnet_down_blocks.{found[1]}.{found[2]}"
    return re.sub(r"^middle_block_out\.0\.", "controlnet_mid_block.", of_unet)


def t2i_adapter(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """A T2I-Adapter's; what has no place there keeps its own name."""
    if any(name.startswith("adapter.") for name in weights):
        return dict(weights)
    light = any(map(_LIGHT_BLOCK.fullmatch, weights))
    return {f"adapter.{_adapter(name, light=light)}": weight for name, weight in weights.items()}


def _adapter(name: str, *, light: bool) -> str:
    """The authors' full adapter counts blocks through all levels, of which each has two; their light one does not."""
    if found := _LIGHT_BLOCK.fullmatch(name):
        return f"body.{found[1]}.resnets.{found[2]}.{found[3]}.{found[4]}"
    if light or not (found := _ADAPTER_BLOCK.fullmatch(name)):
        return name
    level, index = divmod(int(found[1]), 2)
    layer = found[2] if found[2] == "in_conv" else f"resnets.{index}.{found[2]}"
    return f"body.{level}.{layer}.{found[3]}"
