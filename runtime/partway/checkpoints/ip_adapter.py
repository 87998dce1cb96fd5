"""IP-Adapters and the encoders of pictures that go with them, from files and folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway.checkpoints.folder import folder_weights, read_json
from partway.checkpoints.parts import Weights
from partway.checkpoints.safetensors import read_header
from partway.checkpoints.strangers import stranger
from partway.engines.weights import Source
from partway.errors import PackageError

ENCODER = "image_encoder"
"""The folder of the encoder, beside the adapter's file or in the folder above, as its authors have it."""

_PLUS, _BASE = "image_proj.latents", "image_proj.proj.weight"
_HEADS = 16  # of all of CLIP's encoders of pictures that adapters are made for
_OPENAI = 1024  # channels of OpenAI's largest, whose activation is the quicker one
_OTHERS = (
    ("image_proj.perceiver_resampler.", "is an IP-Adapter for faces (FaceID), which partway does not run"),
    ("image_proj.proj.3.", "is an IP-Adapter for whole faces (full-face), which partway does not run"),
    ("image_proj.proj.0.", "is an IP-Adapter for faces (FaceID), which partway does not run"),
)


@dataclass(frozen=True, eq=False)
class ImagePart:
    """An IP-Adapter and its encoder.

    path     the adapter's file
    plus     whether it looks at the picture's parts, and not at the whole alone
    adapter, encoder  the weights of both, by their own names and by transformers'
    config   the encoder's ``config.json``, or what it would say
    """

    path: Path
    plus: bool
    adapter: Weights
    encoder: Weights
    config: Mapping[str, Any]

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files that both are stored in, as they are now."""
        return tuple(sorted({one.source for weights in (self.adapter, self.encoder) for one in weights.values()}))


def open_ip_adapter(path: Path, encoder: Path | None = None) -> ImagePart:
    """Read an adapter's file, and its encoder's file or folder; weights stay where they are.

    Raises `PackageError` naming what one of them is instead, or what is missing.
    """
    weights = read_header(path).weights
    for start, what in _OTHERS:
        if any(name.startswith(start) for name in weights):
            raise PackageError(f"{path} {what}")
    plus = _PLUS in weights
    if not plus and _BASE not in weights:
        other = (stranger(weights) or "").partition(";")[0]
        raise PackageError(f"{path} {f'{other}, and no' if other else 'holds no'} IP-Adapter")
    seen, config = _encoder(path, encoder)
    width = seen["vision_model.embeddings.class_embedding"].shape[-1]
    given = width if plus else seen["visual_projection.weight"].shape[0]
    first = weights.get("image_proj.proj_in.weight" if plus else _BASE)
    taken = first.shape[1] if first is not None else given
    if taken != given:
        raise PackageError(f"{path} is for an encoder of pictures that gives {taken} numbers, and this one {given}")
    return ImagePart(path, plus, weights, seen, config)


def _encoder(adapter: Path, encoder: Path | None) -> tuple[Weights, Mapping[str, Any]]:
    places = [adapter.parent / ENCODER, adapter.parent.parent / ENCODER, adapter.parent / "models" / ENCODER]
    path = encoder or next((place for place in places if place.is_dir()), None)
    if path is None:
        raise PackageError(
            f"{adapter} needs its encoder of pictures, and there is no folder {ENCODER} beside it; give it with: "
            "--ip-encoder PATH"
        )
    stored = folder_weights(path)[0] if path.is_dir() else read_header(path).weights
    needed = ("vision_model.embeddings.class_embedding", "visual_projection.weight")
    if missing := [name for name in needed if name not in stored]:
        raise PackageError(f"{path} holds no encoder of pictures (CLIP's with projection), for it lacks {missing[0]}")
    used = {name: one for name, one in stored.items() if name.startswith(("vision_model.", "visual_projection."))}
    used = {name: one for name, one in used.items() if not name.endswith("position_ids")}
    return used, read_json(path / "config.json") if path.is_dir() else _described(used)


def _described(weights: Weights) -> dict[str, Any]:
    """What ``config.json`` would say of one of CLIP's encoders."""
    width = weights["vision_model.embeddings.class_embedding"].shape[-1]
    count = weights["vision_model.embeddings.position_embedding.weight"].shape[0] - 1
    patch = weights["vision_model.embeddings.patch_embedding.weight"].shape[-1]
    return {
        "image_size": round(count**0.5) * patch,
        "num_attention_heads": _HEADS,
        "hidden_act": "quick_gelu" if width == _OPENAI else "gelu",
    }
