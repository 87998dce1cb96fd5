"""Settings of prompts as users give them: layers that are left out, by anybody's count, and names of embeddings."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from partway.errors import InputError

MAX_SKIP = 100


def skipped(value: Any) -> int:
    """Layers of a text encoder that are left out, from diffusers' count, ComfyUI's (-1 for none) or A1111's (1)."""
    tool, _, counted = value.rpartition(":") if isinstance(value, str) else ("", "", value)
    try:
        found = int(counted) - 1 if tool.lower() == "a1111" else int(counted)
    except (TypeError, ValueError):
        found = MAX_SKIP + 1
    found = -found - 1 if found < 0 and not tool else found
    if tool.lower() not in ("", "a1111") or not 0 <= found <= MAX_SKIP or isinstance(value, bool | float):
        raise InputError(
            f"clip_skip must be 0 to {MAX_SKIP} layers, as diffusers counts, or -1 and below as ComfyUI does, or "
            f"'a1111:1' and above, not {value!r}"
        )
    return found


def named(value: Any) -> tuple[tuple[str, str], ...]:
    """Embeddings as pairs of a name and a file."""
    pairs = value.items() if isinstance(value, Mapping) else value
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InputError(f"embeddings are named, as in {{'name': 'file.safetensors'}}, not {value!r}")
    found = [tuple(one) if isinstance(one, Sequence) and not isinstance(one, str) else () for one in pairs]
    for one in found:
        texts = len(one) == 2 and isinstance(one[0], str) and isinstance(one[1], str | os.PathLike)
        if not texts or not one[0].strip():
            raise InputError(f"embeddings are named, as in {{'name': 'file.safetensors'}}, not {value!r}")
    return tuple((name.strip(), str(file)) for name, file in found)
