"""Networks that guide a model by pictures, from a file or a folder: ControlNets and T2I-Adapters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway.checkpoints import control_names
from partway.checkpoints.folder import folder_weights, read_json
from partway.checkpoints.parts import Weights, levels
from partway.checkpoints.safetensors import read_header
from partway.checkpoints.strangers import stranger
from partway.engines.weights import Source
from partway.errors import PackageError

_OTHERS = (
    ("lora_controlnet", "is a Control-LoRA, a part of a ControlNet; take the whole one"),
    ("difference", "is a ControlNet as its difference from a model; take the whole one"),
    ("control_add_embedding.", "is a ControlNet for several kinds of picture (Union), which partway does not run"),
    ("task_embedding", "is a ControlNet for several kinds of picture (Union), which partway does not run"),
    ("ctrl_to_base.", "is a ControlNet-XS, which partway does not run"),
)
"""What stands in names that others have."""

_SEEN = "controlnet_cond_embedding.conv_in.weight"
_BGR = "bgr"


@dataclass(frozen=True, eq=False)
class ControlPart:
    """A network that guides a model.

    path      its file or folder
    once      whether it looks at its picture once in a run (a T2I-Adapter), not at every step (a ControlNet)
    weights   by diffusers' names
    config    its ``config.json``; empty where there is none, which leaves it to the model's UNet
    channels  of its picture, 3, or 1 where that is grey
    """

    path: Path
    once: bool
    weights: Weights
    config: Mapping[str, Any]
    channels: int

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files that it is stored in, as they are now."""
        return tuple(sorted({weight.source for weight in self.weights.values()}))

    @property
    def pooled(self) -> bool:
        """Whether what it gives is the same for all pixels, their mean (as of a ControlNet for shuffled pictures)."""
        return bool(self.config.get("global_pool_conditions")) or (not self.config and "shuffle" in self.path.stem)

    @property
    def bgr(self) -> bool:
        """Whether its picture's colours come in the order blue, green, red."""
        return self.config.get("controlnet_conditioning_channel_order") == _BGR

    @property
    def halved(self) -> frozenset[int]:
        """The levels of a T2I-Adapter that begin with halving: of those for SDXL one, of others all but the first."""
        own = self.config.get("adapter_type")
        wide = self._folded in (256, 768) if own is None else own == "full_adapter_xl"
        return frozenset({2} if wide else range(1, levels(self.weights, "adapter.body")))

    @property
    def factor(self) -> int:
        """By which sides of pictures have to be divisible."""
        return round((self._folded / self.channels) ** 0.5) if self.once else 1

    @property
    def _folded(self) -> int:
        return _first(self.weights)


def open_control(path: Path) -> ControlPart:
    """Read what guides a model; its weights stay where they are.

    Raises `PackageError` naming what it is instead, or what cannot be read.
    """
    folder = path.is_dir()
    stored = folder_weights(path)[0] if folder else read_header(path).weights
    config = read_json(path / "config.json") if folder else {}
    for mark, what in _OTHERS:
        if any(mark in name for name in stored):
            raise PackageError(f"{path} {what}")
    weights = control_names.controlnet(stored)
    if _SEEN in weights:
        return ControlPart(path, False, weights, config, weights[_SEEN].shape[1])
    weights = control_names.t2i_adapter(stored)
    if "adapter.body.0.resnets.0.block1.weight" in weights:
        channels = config.get("in_channels") or (3 if _first(weights) % 3 == 0 else 1)
        return ControlPart(path, True, weights, config, int(channels))
    other = (stranger(stored) or "").partition(";")[0]
    raise PackageError(f"{path} {f'{other}, and' if other else 'holds'} neither a ControlNet nor a T2I-Adapter")


def _first(weights: Weights) -> int:
    """The channels of a T2I-Adapter's first layer: those of squares of pixels."""
    light = weights.get("adapter.body.0.in_conv.weight")
    first = weights.get("adapter.conv_in.weight", light)
    if first is None:
        raise PackageError("a T2I-Adapter lacks its first layer; download it again")
    return first.shape[1]


def fitting(part: ControlPart, unet: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a ControlNet is built by, for a model whose UNet has this one.

    What no file says is the UNet's own, of which it is a copy. Raises `PackageError` naming both numbers where it is
    for another kind of model.
    """
    widths = _widths(part)
    own = list(unet.get("block_out_channels", widths))
    if part.once:
        if own != widths[: len(own)] or len(widths) > len(own) + 1:
            raise PackageError(f"{part.path} is for models of channels {widths}, and this one has {own}")
        return {}
    if own != widths:
        raise PackageError(f"{part.path} is for models of channels {widths}, and this one has {own}")
    text, wanted = _text_width(part.weights), unet.get("cross_attention_dim")
    if text is not None and wanted is not None and text != wanted:
        raise PackageError(f"{part.path} is for models with text of width {text}, and this one's is {wanted}")
    layers, mine = unet.get("layers_per_block", 2), levels(part.weights, "down_blocks.0.resnets")
    if layers != mine:
        raise PackageError(f"{part.path} has {mine} layers a level, and this model {layers}")
    if part.channels != 3:
        raise PackageError(f"{part.path} looks at pictures of {part.channels} channels, where partway shows it 3")
    sizes = ("addition_embed_type" in unet and unet["addition_embed_type"]) == "text_time"
    if ("add_embedding.linear_1.weight" in part.weights) != sizes:
        kinds = ("SDXL", "Stable Diffusion 1 or 2")
        raise PackageError(f"{part.path} is for {kinds[sizes]}, and this model is {kinds[not sizes]}")
    return {**unet, **part.config}


def _widths(part: ControlPart) -> list[int]:
    if part.once:
        found, light = [], "adapter.body.0.out_conv.weight" in part.weights
        for level in range(levels(part.weights, "adapter.body")):
            name = f"adapter.body.{level}.{'out_conv' if light else 'resnets.0.block2'}.weight"
            if name not in part.weights:
                raise PackageError(f"{part.path} lacks {name}; download it again")
            found.append(part.weights[name].shape[0])
        return found
    names = [f"down_blocks.{level}.resnets.0.conv1.weight" for level in range(levels(part.weights, "down_blocks"))]
    if missing := [name for name in names if name not in part.weights]:
        raise PackageError(f"{part.path} lacks {missing[0]}; download it again")
    return [part.weights[name].shape[0] for name in names]


def _text_width(weights: Weights) -> int | None:
    return next((one.shape[1] for name, one in weights.items() if name.endswith("attn2.to_k.weight")), None)
