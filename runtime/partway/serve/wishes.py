"""What a client asks for, in partway's words; `openai`, ``a1111`` and ``page`` translate into it."""

from dataclasses import dataclass, field
from typing import Any

from partway.run.latents import Latents
from partway.serve.photos import Fit


@dataclass(frozen=True, eq=False)
class Wish:
    """One request, unchecked: `partway.serve.requests.checked` says whether it can be had.

    model     a name; one that is not served stands for the default
    settings  of `partway.Settings`, as the client gave them; ``seed`` None or negative for any
    count     pictures, of seed, seed + 1 and so on
    picture   the bytes of a file; None for text-to-image
    mask      the bytes of a file; ``opaque_changes`` says what its alpha means, see `photos.mask`
    invert    whether black marks what to change
    hard      whether a grey mask becomes black and white
    only_masked, padding, mask_blur  as for `partway.Pipeline.inpaint`
    size      of the result, (width, height), at which ``fit`` puts the picture; None for the picture's own
    latents   what an earlier run handed on, in the picture's place
    ignored   fields that have no meaning here
    """

    prompt: str = ""
    model: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    count: int = 1
    picture: bytes | None = None
    mask: bytes | None = None
    opaque_changes: bool = False
    invert: bool = False
    hard: bool = False
    only_masked: bool = False
    padding: int = 32
    mask_blur: float = 0
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    latents: Latents | None = None
    ignored: tuple[str, ...] = ()
