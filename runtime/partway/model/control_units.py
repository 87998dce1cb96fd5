"""A model with ControlNets and adapters beside it, and a UNet that takes what they give."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partway import controls
from partway.controls import Control, IPAdapter
from partway.engines.weights import Networks
from partway.errors import InputError, PackageError
from partway.graphs import CONTROLS, FORMATS
from partway.pictures import images
from partway.settings import Settings
from partway.support.caching import Recent

if TYPE_CHECKING:
    from partway.checkpoints.control import ControlPart
    from partway.checkpoints.ip_adapter import ImagePart
    from partway.model.package import Package

Array = NDArray[np.float32]
Built = Recent[tuple[object, ...], Networks]
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)  # of the pictures that CLIP was trained on
_SPREAD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)[None, :, None, None]


class ControlUnit(NamedTuple):
    """A control of a run, and the network that it goes through: its name, and what is known of it."""

    control: Control
    network: str
    part: "ControlPart"

    @property
    def conditional_only(self) -> bool:
        """Whether it guides the prompt's prediction alone."""
        return self.control.guess_mode or self.part.pooled

    def seen(self, hint: Array, multiple: int) -> Array:
        """A hint (1, 3, H, W) as the network is shown it, (1, C, H, W), padded as the run's picture is."""
        hint = images.pad(hint, multiple)
        if self.part.bgr:
            hint = hint[:, ::-1]
        return (hint * _GREY).sum(axis=1, keepdims=True) if self.part.channels == 1 else hint


class ImagePrompt(NamedTuple):
    """A picture that a run takes for a part of its prompt, and what is known of the networks that it goes through."""

    prompt: IPAdapter
    part: "ImagePart"

    def seen(self, picture: images.Picture) -> Array:
        """A picture as CLIP's encoder is shown it, (1, 3, S, S): its middle, normalised."""
        side = int(self.part.config["image_size"])
        image = images.eight_bit(picture.original).convert("RGB")
        width, height = image.size
        short = min(width, height)
        image = image.resize((side * width // short, side * height // short), Image.Resampling.BICUBIC)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        unit = np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / np.float32(255)
        return ((unit - _MEAN) / _SPREAD).transpose(2, 0, 1)[None]


def with_controls(package: "Package", settings: Settings, built: Built) -> "Package":
    """The model with the ControlNets and adapters that settings name, but for those whose scale is 0.

    An exported model keeps its UNet's file, of which `partway.model.adapted` writes what takes residuals. Raises
    `PackageError` for a network that cannot be read or is another kind of model's, and for a model whose UNet cannot be
    guided.
    """
    units, prompt = _units([one for one in settings.controls if one.scale]), None
    if (given := controls.image_prompt(settings.ip_adapter)) is not None and given.scale:
        from partway.checkpoints.ip_adapter import open_ip_adapter  # only where there is one, for it takes its time

        encoder = None if given.encoder is None else Path(given.encoder)
        prompt = ImagePrompt(given, open_ip_adapter(Path(given.network), encoder))
    if not units and prompt is None:
        return package
    package = replace(package, control_units=tuple(units), image_prompt=prompt)
    if package.checkpoint is None:
        _check_exported(package)
    networks = built.get(key_of(package), lambda: _built(package))
    own = {name: one for name, one in package.networks.items() if name not in package.segments or name in networks}
    return replace(package, networks={**own, **networks})


def key_of(package: "Package") -> tuple[object, ...]:
    """What is equal where one model's control units come from the same files."""
    prompt = package.image_prompt
    of_picture = None if prompt is None else prompt.part.sources
    return (of_picture, *((unit.network, unit.part.once, unit.part.sources) for unit in package.control_units))


def _built(package: "Package") -> Networks:
    """The networks of control units, and the UNet that takes what they give where it is built too."""
    from partway.building.control_networks import control_network, image_prompt, unet_with_controls
    from partway.building.unet import Extras
    from partway.checkpoints.control import fitting

    config, units, prompt = package.config("unet"), package.control_units, package.image_prompt
    made = {one.network: control_network(one.part, fitting(one.part, config)) for one in units}
    if package.checkpoint is None:
        return made
    once = [made[one.network] for one in units if one.part.once]
    features = max((len(one.outputs) for one in once), default=0)
    extras = Extras(len(once) < len(units), features, prompt is not None)
    of_picture = {} if prompt is None else image_prompt(prompt.part, package.checkpoint)
    return unet_with_controls(package.checkpoint, extras) | made | of_picture


def _check_exported(package: "Package") -> None:
    files = "run the model's own .safetensors file, or its folder as diffusers saves it"
    if package.format != "onnx":
        raise PackageError(
            f"{package.root} is exported to {FORMATS[package.format]}, whose UNet nothing can guide; {files}"
        )
    if package.image_prompt is not None or any(unit.part.once for unit in package.control_units):
        what = "an IP-Adapter" if package.image_prompt is not None else "a T2I-Adapter"
        raise PackageError(f"{package.root} is exported, and its UNet takes nothing from {what}; {files}")


def _units(wanted: Sequence[Control]) -> list[ControlUnit]:
    """Controls with their networks; those of one file share one."""
    from partway.checkpoints.control import open_control

    paths = list(dict.fromkeys(Path(one.network) for one in wanted))
    parts = [open_control(path) for path in paths]
    for one in wanted:
        if one.guess_mode and parts[paths.index(Path(one.network))].once:
            raise InputError(f"guess_mode is for ControlNets, and {one.network} is a T2I-Adapter; leave it out")
    places = [paths.index(Path(one.network)) for one in wanted]
    return [ControlUnit(one, CONTROLS[at], parts[at]) for one, at in zip(wanted, places, strict=True)]
