"""What a file is that was given where an adapter belongs."""

from collections.abc import Mapping

from partway.checkpoints.parts import apart
from partway.checkpoints.strangers import stranger
from partway.engines.weights import Weight

MODEL, TEXT = "is a whole model", "is a text encoder"


def other(weights: Mapping[str, Weight]) -> str | None:
    """What a file with these tensors is or holds, as the middle of a sentence; None if nothing says so."""
    found = apart(weights).networks
    if len(found) > 1 or "unet" in found:
        return MODEL
    if "vae" in found:
        return "is a VAE"
    known = stranger(weights)
    return known.split(";")[0] if known else TEXT if found else None
