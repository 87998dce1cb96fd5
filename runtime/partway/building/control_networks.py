"""ControlNets, T2I-Adapters and IP-Adapters as networks, and the UNet that takes what they give."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from partway.building.control import controlnet
from partway.building.image import image_encoder
from partway.building.ip_adapter import ip_adapter, layers
from partway.building.network import Network, left_over
from partway.building.networks import unet_parts
from partway.building.t2i_adapter import t2i_adapter
from partway.building.unet import Extras, attending, unet
from partway.checkpoints.control import ControlPart
from partway.checkpoints.ip_adapter import ImagePart
from partway.checkpoints.parts import Weights
from partway.checkpoints.record import Checkpoint
from partway.errors import PackageError
from partway.graphs import IMAGE_ADAPTER, IMAGE_ENCODER


def unet_with_controls(checkpoint: Checkpoint, extras: Extras) -> dict[str, Network]:
    """A checkpoint's UNet with its outermost layers and its segments, built to take what controls give."""
    part = checkpoint.parts["unet"]
    whole = unet(part.weights, part.config, extras)
    return {"unet": whole} | unet_parts(whole)


def image_prompt(part: ImagePart, unet: Checkpoint) -> dict[str, Network]:
    """An IP-Adapter and its encoder of pictures; raises `PackageError` where it does not fit a checkpoint's UNet."""
    weights = unet.parts["unet"].weights
    wanted = [weights[f"{layer}.to_k.weight"].shape for layer in attending(weights)]
    found = [part.adapter[f"ip_adapter.{number}.to_k_ip.weight"].shape for number in layers(part.adapter)]
    if found != wanted:
        first = next((pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]), None)
        said = f"{len(found)} layers, and this model {len(wanted)}"
        if first is not None:
            said = " where this model has ".join("x".join(map(str, shape)) for shape in first)
        raise PackageError(f"{part.path} is for another kind of model: it has {said}")
    made = {IMAGE_ENCODER: image_encoder(part.encoder, part.config), IMAGE_ADAPTER: ip_adapter(part.adapter)}
    _check_left(part.path, part.adapter, made[IMAGE_ADAPTER])
    return made


def control_network(part: ControlPart, config: Mapping[str, Any]) -> Network:
    """A ControlNet or a T2I-Adapter, by the configuration of `partway.checkpoints.control.fitting`.

    Raises `PackageError` naming weights that are missing or left over.
    """
    if part.once:
        made = t2i_adapter(part.weights, part.halved, channels=part.channels)
    else:
        made = controlnet(part.weights, config)
    _check_left(part.path, part.weights, made)
    return made


def _check_left(path: Path, weights: Weights, made: Network) -> None:
    if left := left_over(weights, [made]):
        raise PackageError(
            f"{path} has weights that no layer takes: {left}; it is changed in a way that partway does not know"
        )
