"""A text encoder's tensors under transformers' names, from OpenCLIP's, or transformers' own with a level missing."""

import re
from collections.abc import Mapping

from partway.engines.weights import Weight

PROJECTION = "text_projection"
"""OpenCLIP's matrix (in, out), where transformers has its transpose under ``text_projection.weight``."""

_ENDS = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_LAYERS = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)")
_JOINED = re.compile(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)")
_LEFT_OUT = re.compile(r"(encoder|embeddings|final_layer_norm)\.")


def openclip(weights: Mapping[str, Weight]) -> bool:
    """Whether these are OpenCLIP's names."""
    return "positional_embedding" in weights


def translated(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """Weights by transformers' names; what has no place there keeps its own.

    OpenCLIP keeps the three matrices of an attention layer in one, of which each is a third of the rows.
    """
    if not openclip(weights):
        return {f"text_model.{name}" if _LEFT_OUT.match(name) else name: one for name, one in weights.items()}
    found: dict[str, Weight] = {}
    for name, weight in weights.items():
        if joined := _JOINED.fullmatch(name):
            for index, part in enumerate("qkv"):
                whole = f"text_model.encoder.layers.{joined[1]}.self_attn.{part}_proj.{joined[2]}"
                found[whole] = weight.part(index, 3)
        elif (layer := _LAYER.fullmatch(name)) and layer[2] in _LAYERS:
            found[f"text_model.encoder.layers.{layer[1]}.{_LAYERS[layer[2]]}.{layer[3]}"] = weight
        else:
            found[_ENDS.get(name, name)] = weight
    return found
