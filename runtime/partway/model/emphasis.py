"""What weights do to the embedding of a text, in the arithmetic of each tool.

All take a chunk's embeddings (N, D) after the choice of the layer and its norm, a weight for each token (N,), and what
gives the embedding of the empty text (N, D); none changes a chunk whose weights are all 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Emphasis = Callable[[Array, Array, Callable[[], Array]], Array]


def multiplied(tokens: Array, weights: Array, empty: Callable[[], Array]) -> Array:
    """A1111's: tokens times their weights, then all such that their mean is what it was."""
    made = tokens.astype(np.float64) * weights[:, None]
    before, after = tokens.mean(dtype=np.float64), made.mean()
    return (made * (before / after) if after else made).astype(np.float32)


def moved(tokens: Array, weights: Array, empty: Callable[[], Array]) -> Array:
    """ComfyUI's and compel's: tokens moved from those of the empty text, by their weights."""
    start = empty()
    return np.where(weights[:, None] == 1, tokens, start + (tokens - start) * weights[:, None]).astype(np.float32)


EMPHASIS: dict[str, Emphasis | None] = {"plain": None, "a1111": multiplied, "comfyui": moved, "compel": moved}
"""By syntax; None for one without weights."""
