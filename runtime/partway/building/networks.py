"""All networks of a checkpoint, none of whose weights may be left over."""

from collections.abc import Iterable

from partway.building import parts
from partway.building.network import Network, left_over
from partway.building.text import text_encoder
from partway.building.tiny_vae import tiny_decoder, tiny_encoder
from partway.building.unet import unet
from partway.building.vae import vae_decoder, vae_encoder
from partway.checkpoints.record import TINY, Checkpoint, Part
from partway.errors import PackageError
from partway.graphs import SHALLOW, TINY_DECODER, TINY_ENCODER, TOKENIZERS

SEGMENTS = 8
"""How many the UNet can be cut into; more save little, for the largest layers stay whole."""


def networks(checkpoint: Checkpoint) -> dict[str, Network]:
    """The networks by partway's names, with the UNet's outermost layers and its segments.

    Raises `PackageError` naming weights that are missing or left over.
    """
    found: dict[str, Network] = {}
    for name in (*TOKENIZERS, "vae", TINY, "unet"):
        if name in checkpoint.parts:
            built = _built(name, checkpoint.parts[name])
            _check_used(checkpoint, name, built.values())
            found |= built
    return found | unet_parts(found["unet"])


def unet_parts(whole: Network) -> dict[str, Network]:
    """The UNet's outermost layers and its segments."""
    segments = parts.segments(whole, SEGMENTS)
    return {SHALLOW: parts.shallow(whole)} | {f"unet_segment_{index}": one for index, one in enumerate(segments)}


def _built(name: str, part: Part) -> dict[str, Network]:
    if name == TINY:
        return {TINY_ENCODER: tiny_encoder(part.weights), TINY_DECODER: tiny_decoder(part.weights)}
    if name == "vae":
        encoder, decoder = vae_encoder(part.weights, part.config), vae_decoder(part.weights, part.config)
        return {"vae_encoder": encoder, "vae_decoder": decoder}
    return {name: (unet if name == "unet" else text_encoder)(part.weights, part.config)}


def _check_used(checkpoint: Checkpoint, name: str, built: Iterable[Network]) -> None:
    if left := left_over(checkpoint.parts[name].weights, built):
        raise PackageError(
            f"{checkpoint.path} has weights of its {name} that no layer takes: {left}; it is {checkpoint.title}, "
            "changed in a way that partway does not know"
        )
