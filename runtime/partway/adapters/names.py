"""Every name that files have for a model's layers; a name is looked up, for most of them cannot be taken apart.

A layer has diffusers' name, as ``down_blocks.0.attentions.0.proj_in``, and the UNet's also the original code's, as
``input_blocks.1.1.proj_in``. Trainers write one or the other, with a beginning of their own, and mostly with
underscores for dots.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_ENDS = {
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_ATTENTION = re.compile(r"(.*attn[12])\.(to_[qkv]|to_out)(?:\.0)?")
_SELF = re.compile(r"(.*self_attn)\.(q|k|v|out)_proj")

_TEXTS = {"text_encoder": ("te1", "clip_l"), "text_encoder_2": ("te2", "clip_g")}


class Layer(NamedTuple):
    """A layer of a network, by diffusers' name, and the original code's where it has one."""

    network: str
    name: str
    original: str | None = None


def table(layers: Mapping[str, Iterable[str]]) -> dict[str, Layer]:
    """Every name in use for the layers of a model's UNet and text encoders, which are given by network."""
    found: dict[str, Layer] = {}
    encoders = [network for network in _TEXTS if network in layers]
    for network in encoders:
        for name in layers[network]:
            layer = Layer(network, name)
            found |= dict.fromkeys(_of_text(name, network, alone=network == encoders[0]), layer)
    unet = list(layers["unet"])
    for name in unet:
        layer = Layer("unet", name, original(name, unet))
        found |= dict.fromkeys(_of_unet(name, layer.original), layer)
    return found


def original(name: str, layers: Collection[str]) -> str | None:
    """The original code's name of one of the UNet's ``layers``; None where it has none."""
    if name in _ENDS:
        return _ENDS[name]
    level = 1 + len({one.split(".")[3] for one in layers if one.startswith("down_blocks.0.resnets.")})
    if found := _BLOCK.fullmatch(name):
        side, block, part, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        place = block * level + index
        head = f"input_blocks.{place + 1}" if side == "down" else f"output_blocks.{place}"
        return f"{head}.1.{rest}" if part == "attentions" else f"{head}.0.{_RESNET.get(rest, rest)}"
    if found := _MIDDLE.fullmatch(name):
        part, index, rest = found[1], int(found[2]), found[3]
        attends = any(one.startswith("mid_block.attentions.") for one in layers)
        place = 1 if part == "attentions" else index * (2 if attends else 1)
        return f"middle_block.{place}.{rest if part == 'attentions' else _RESNET.get(rest, rest)}"
    if found := re.fullmatch(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", name):
        return f"input_blocks.{(int(found[1]) + 1) * level}.0.op"
    if found := re.fullmatch(r"up_blocks\.(\d+)\.upsamplers\.0\.conv", name):
        attends = any(one.startswith(f"up_blocks.{found[1]}.attentions.") for one in layers)
        return f"output_blocks.{(int(found[1]) + 1) * level - 1}.{1 + attends}.conv"
    return None


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _of_unet(name: str, original: str | None) -> Iterator[str]:
    for start in ("", "unet.", "base_model.model.", "base_model.model.unet.", "diffusion_model."):
        yield start + name
    for start in ("lora_unet_", "lycoris_", "oft_unet_", "lora_unet."):
        yield start + _flat(name)
    if original is not None:
        for start in ("diffusion_model.", "model.diffusion_model.", ""):
            yield start + original
        for start in ("lora_unet_", "lycoris_", "oft_unet_"):
            yield start + _flat(original)
    if found := _ATTENTION.fullmatch(name):  # of attention processors, which diffusers had once
        for start in ("", "unet."):
            yield f"{start}{found[1]}.processor.{found[2]}"


def _of_text(name: str, network: str, *, alone: bool) -> Iterator[str]:
    """``alone``: whether it is also what files call the text encoder without a number."""
    number, clip = _TEXTS[network]
    starts = [f"{network}.", f"text_encoders.{clip}.transformer.", f"base_model.model.{network}."]
    flat = [f"lora_{number}_", f"oft_{number}_"]
    if alone:
        starts += ["", "base_model.model.", "text_encoder.", "text_encoders.clip_h.transformer."]
        flat += ["lora_te_", "oft_te_", "lycoris_", "lora_te1_" if network == "text_encoder" else "lora_te_"]
    names = [name]
    if found := _SELF.fullmatch(name):  # before diffusers had PEFT
        names.append(f"{found[1]}.to_{found[2]}")
    for one in names:
        yield from (start + one for start in starts)
        yield from (start + _flat(one) for start in flat)
