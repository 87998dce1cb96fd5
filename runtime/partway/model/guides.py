"""A model with what guides it by pictures: networks beside its own, and a UNet that takes what they give."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.checkpoints.control import ControlPart, fitting, open_control
from partway.controls import Control
from partway.errors import PackageError
from partway.graphs import CONTROLS, FORMATS
from partway.pictures import images

if TYPE_CHECKING:
    from partway.model.package import Package

Array = NDArray[np.float32]
_GREY = np.float32([0.299, 0.587, 0.114])[None, :, None, None]


class Guide(NamedTuple):
    """A control of a run, and the network that it goes through: its name, and what is known of it."""

    control: Control
    network: str
    part: ControlPart

    @property
    def prompted(self) -> bool:
        """Whether it guides the prompt's prediction alone."""
        return self.control.guess_mode or self.part.pooled

    def seen(self, hint: Array, multiple: int) -> Array:
        """A hint (1, 3, H, W) as the network is shown it, (1, C, H, W), padded as the run's picture is."""
        hint = images.pad(hint, multiple)
        if self.part.turned:
            hint = hint[:, ::-1]
        return (hint * _GREY).sum(axis=1, keepdims=True) if self.part.channels == 1 else hint


def guided(package: "Package", controls: Sequence[Control]) -> "Package":
    """The model guided by ``controls``, of which those that count nothing are left out.

    Raises `PackageError` for a network that cannot be read or is another kind of model's, and for a model whose UNet
    cannot be guided.
    """
    controls = [one for one in controls if one.scale]
    if not controls:
        return package
    if package.checkpoint is None:
        raise PackageError(
            f"{package.root} is exported ({FORMATS[package.format]}), and its UNet takes nothing from a ControlNet; "
            "run the model's own .safetensors file, or its folder as diffusers saves it"
        )
    from partway.building.guided import guide, guided_unet
    from partway.building.unet import Extras

    guides = _guides(controls)
    config = package.config("unet")
    made = {one.network: guide(one.part, fitting(one.part, config)) for one in guides}
    once = [made[one.network] for one in guides if one.part.once]
    extras = Extras(len(once) < len(guides), max((len(one.outputs) for one in once), default=0))
    networks = {**package.networks, **guided_unet(package.checkpoint, extras), **made}
    return replace(package, networks=networks, guides=tuple(guides))


def _guides(controls: Sequence[Control]) -> list[Guide]:
    """Controls with their networks; those of one file share one."""
    paths = list(dict.fromkeys(Path(one.network) for one in controls))
    parts = [open_control(path) for path in paths]
    places = [paths.index(Path(one.network)) for one in controls]
    return [Guide(one, CONTROLS[at], parts[at]) for one, at in zip(controls, places, strict=True)]
