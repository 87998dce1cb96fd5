"""What guides a UNet by pictures, and the UNet that is guided so, as networks."""

from collections.abc import Mapping
from typing import Any

from partway.building.control import controlnet
from partway.building.network import Network
from partway.building.networks import unet_parts
from partway.building.t2i_adapter import t2i_adapter
from partway.building.unet import Extras, unet
from partway.checkpoints.control import ControlPart
from partway.checkpoints.record import Checkpoint
from partway.errors import PackageError


def guided_unet(checkpoint: Checkpoint, extras: Extras) -> dict[str, Network]:
    """A checkpoint's UNet with its outermost layers and its segments, built to take what guides it."""
    part = checkpoint.parts["unet"]
    whole = unet(part.weights, part.config, extras)
    return {"unet": whole} | unet_parts(whole)


def guide(part: ControlPart, config: Mapping[str, Any]) -> Network:
    """A network that guides a UNet, by the configuration of `partway.checkpoints.control.fitting`.

    Raises `PackageError` naming weights that are missing or left over.
    """
    if part.once:
        made = t2i_adapter(part.weights, part.halved, channels=part.channels)
    else:
        made = controlnet(part.weights, config)
    if left := sorted(part.weights.keys() - made.weights.keys()):
        more = f" and {len(left) - 1} more" if left[1:] else ""
        raise PackageError(
            f"{part.path} has weights that no layer takes: {left[0]}{more}; it is changed in a way that partway does "
            "not know"
        )
    return made
