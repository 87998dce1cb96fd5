"""Block weights: how much of an adapter counts in each block of the UNet, as sd-webui-lora-block-weight lists them."""

import re
from collections.abc import Sequence

_LISTS = {
    12: ([4, 5, 7, 8], range(6)),
    17: ([1, 2, 4, 5, 7, 8], range(3, 12)),
    20: (range(9), range(9)),
    26: (range(12), range(12)),
}
"""The blocks on the way down and up that a list of each length has numbers for; the first is the text encoders'."""

_PLACE = re.compile(r"(input|output)_blocks\.(\d+)\.|(middle)_block\.")


def labels(length: int) -> list[str]:
    """What each number of a list is for: BASE, IN00 and so on, M00, OUT00 and so on."""
    down, up = _LISTS[length]
    return ["BASE", *(f"IN{one:02d}" for one in down), "M00", *(f"OUT{one:02d}" for one in up)]


def factor(blocks: Sequence[float], original: str | None) -> float:
    """The factor of the UNet's layer of this name, in the original code.

    Blocks that a short list leaves out count nothing; what is in no block counts in full where all blocks are listed.
    """
    if not blocks:
        return 1.0
    found = _PLACE.match(original or "")
    if found is None:
        return 1.0 if len(blocks) in (20, 26) else 0.0
    label = "M00" if found[3] else f"{'IN' if found[1] == 'input' else 'OUT'}{int(found[2]):02d}"
    return dict(zip(labels(len(blocks)), blocks, strict=True)).get(label, 0.0)
