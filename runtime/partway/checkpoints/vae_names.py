"""The VAE's tensors under diffusers' names, from those of the original code, or of diffusers before its version 0.17.

The original counts levels from the largest picture on, which for the decoder is from last to first.
"""

import re
from collections.abc import Iterable

_LAYERS = {
    "norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0",
    "query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0",
}  # fmt: skip
"""The layers of the middle's attention."""

_LEVEL = re.compile(r"(encoder|decoder)\.(down|up)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.(?:mid\.|mid_block\.)(.+)")


def translated(names: Iterable[str]) -> dict[str, str]:
    """diffusers' name of each tensor; what has no place in the VAE keeps its own."""
    names = list(names)
    levels = [int(found[3]) for name in names if (found := _LEVEL.match(name)) and found[2] == "up"]
    return {name: _translate(name, max(levels, default=0)) for name in names}


def _translate(name: str, last: int) -> str:
    layer, _, kind = name.rpartition(".")
    if found := _LEVEL.fullmatch(layer):
        half, way, place, rest = found[1], found[2], int(found[3]), found[4]
        rest = re.sub(r"^block\.", "resnets.", rest).replace("nin_shortcut", "conv_shortcut")
        rest = rest.replace(f"{way}sample.conv", f"{way}samplers.0.conv")
        return f"{half}.{way}_blocks.{last - place if way == 'up' else place}.{rest}.{kind}"
    if found := _MIDDLE.fullmatch(layer):
        rest = found[2].replace("block_1.", "resnets.0.").replace("block_2.", "resnets.1.")
        rest = rest.replace("nin_shortcut", "conv_shortcut").replace("attn_1.", "attentions.0.")
        if rest.startswith("attentions."):
            head, index, own = rest.split(".", 2)
            rest = f"{head}.{index}.{_LAYERS.get(own, own)}"
        return f"{found[1]}.mid_block.{rest}.{kind}"
    if found := re.fullmatch(r"(encoder|decoder)\.norm_out", layer):
        return f"{found[1]}.conv_norm_out.{kind}"
    return name
