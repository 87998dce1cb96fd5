"""Embeddings (textual inversions, Gal et al. 2022, arXiv 2208.01618): vectors in place of a word's tokens.

They come as .safetensors in diffusers' layout (the word), A1111's (``emb_params``), SDXL's (``clip_l`` and ``clip_g``),
with one tensor of any name, inside a LoRA (``bundle_emb.NAME``), and as A1111's pictures that carry one as text.
"""

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.adapters.others import TEXT, other
from partway.adapters.reading import is_adapter
from partway.checkpoints.safetensors import read_header
from partway.checkpoints.values import read
from partway.engines.weights import Source, Weight
from partway.errors import PackageError

Array = NDArray[np.float32]

MOST = 75
"""Vectors that a prompt has room for."""

FIRST, SECOND = "clip_l", "clip_g"
_BUNDLED = "bundle_emb."
_MARKS = (".string_to_param.*", "string_to_param.*")
_TEXT = "sd-ti-embedding"
_LONGEST = 50_000_000  # characters of a picture's text


class Embedding(NamedTuple):
    """An embedding's vectors (N, D), by `FIRST` and `SECOND` for SDXL's text encoders, else by an empty name."""

    path: Path
    vectors: Mapping[str, Array]

    @property
    def size(self) -> int:
        """How many vectors it has."""
        return len(next(iter(self.vectors.values())))


def open_embedding(path: str | Path, name: str | None = None) -> Embedding:
    """Read an embedding's file; ``name`` picks one of several that lie in it.

    Raises `PackageError` naming what the file is instead, or what is wrong with it.
    """
    path = Path(path)
    try:
        source = Source.of(path)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    return _opened(path, source, name)


@lru_cache(64)
def _opened(path: Path, source: Source, name: str | None) -> Embedding:
    with path.open("rb") as file:
        start = file.read(8)
    pickled = start[:1] == b"\x80" and int.from_bytes(start, "little") > source.size - 8  # else a header of that length
    if pickled or start.startswith(b"PK\x03\x04"):
        raise PackageError(
            f"{path} is a pickle, whose loading runs whatever code is in it; take the embedding as .safetensors, or "
            "convert it where nothing can be harmed"
        )
    if start.startswith(b"\x89PNG"):
        return _checked(path, {"": _of_picture(path)})
    return _checked(path, {key: read(weight) for key, weight in _found(path, name).items()})


def _found(path: Path, name: str | None) -> Mapping[str, Weight]:
    """The tensors of an embedding in a .safetensors file."""
    weights = read_header(path).weights
    bundled = {key: one for key, one in weights.items() if key.startswith(_BUNDLED)}
    if bundled:
        weights = _bundle(path, bundled, name)
    elif FIRST not in weights and SECOND not in weights and (known := _instead(path, weights)):
        raise PackageError(f"{path} {known}, and no embedding")
    if weights.keys() <= {FIRST, SECOND} and weights:
        return weights
    if len(weights) == 1:
        return {"": next(iter(weights.values()))}
    raise PackageError(f"{path} has {len(weights)} tensors, where an embedding has one, or {FIRST} and {SECOND}")


def _bundle(path: Path, weights: Mapping[str, Weight], name: str | None) -> dict[str, Weight]:
    """One of the embeddings inside a LoRA, under the names that it would have alone."""
    each: dict[str, dict[str, Weight]] = {}
    for key, weight in weights.items():
        own, _, kind = key.removeprefix(_BUNDLED).partition(".")
        each.setdefault(own, {})["" if f".{kind}" in _MARKS else kind] = weight
    if len(each) == 1 and name not in each:
        return next(iter(each.values()))
    if name not in each:
        raise PackageError(f"{path} holds the embeddings {', '.join(each)}; name one, as in {path.name}:{min(each)}")
    return each[name]


def _instead(path: Path, weights: Mapping[str, Weight]) -> str | None:
    """What a file is that is no embedding, as the middle of a sentence; None if nothing says so."""
    if is_adapter(path):
        return "is a LoRA"
    known = other(weights)
    alone = known == TEXT and len(weights) == 1  # one tensor is an embedding, whatever its name
    return None if known is None or alone or "embedding" in known else known


def _of_picture(path: Path) -> Array:
    """The vectors that A1111 writes into a PNG's text."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            packed = image.info.get(_TEXT)
        if not isinstance(packed, str) or len(packed) > _LONGEST:
            raise PackageError(f"{path} is a picture without an embedding in its text ({_TEXT})")
        content = json.loads(base64.b64decode(packed))
        (value,) = content["string_to_param"].values()
        return np.array(_plain(value), np.float32)
    except PackageError:
        raise
    except Exception as error:  # decoders raise anything
        raise PackageError(f"{path} has an embedding that cannot be read ({error}); download it again") from error


def _plain(value: Any) -> Any:
    """A tensor as A1111 writes it in JSON."""
    return value["TORCHTENSOR"] if isinstance(value, dict) else value


def _checked(path: Path, vectors: Mapping[str, Array]) -> Embedding:
    """The embedding; raises `PackageError` for vectors that a prompt has no room for, or that are none."""
    each = {key: vectors[key] for key in sorted(vectors, reverse=True)}  # SDXL's first text encoder first
    each = {key: array[None] if array.ndim == 1 else array for key, array in each.items()}
    counts = {len(array) for array in each.values() if array.ndim == 2}
    if len(counts) != 1 or any(array.ndim != 2 or not array.size for array in each.values()):
        shapes = " and ".join("x".join(map(str, array.shape)) for array in each.values())
        raise PackageError(f"{path} holds {shapes} numbers, where an embedding has one row for each vector")
    (count,) = counts
    if count > MOST:
        raise PackageError(f"{path} has {count} vectors, where a prompt has room for {MOST}")
    if not all(np.isfinite(array).all() for array in each.values()):
        raise PackageError(f"{path} has vectors that are not finite; download it again")
    return Embedding(path, each)
