"""Which files of a repository a run needs, from their names: of one format, and nothing beside it."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from partway.checkpoints.forms import STEMS
from partway.errors import PackageError
from partway.graphs import BUILT, FILES, NETWORKS, TINY, TOKENIZERS
from partway.model.families import needed

INDEX = "model_index.json"

_COMMON = (
    INDEX,
    "partway.json",
    "goldens/*",
    "scheduler/*.json",
    *(f"{tokenizer}/*.{suffix}" for tokenizer in TOKENIZERS.values() for suffix in ("json", "txt")),
    *(f"{network}/config.json" for network in (*NETWORKS, *TINY, "vae")),
)
_GRAPHS = {
    "onnx": ("model.onnx*", "weights.pb", "shallow.onnx*", "segment_*"),
    "openvino": ("openvino_model.xml", "openvino_model.bin", "shallow.xml", "shallow.bin"),
}
_STORED = ("unet", "vae", *TOKENIZERS)

PATTERNS = {
    **{
        format_: (*_COMMON, *(f"{network}/{name}" for network in (*NETWORKS, *TINY) for name in names))
        for format_, names in _GRAPHS.items()
    },
    BUILT: (*_COMMON, *(f"{network}/*.safetensors*" for network in _STORED)),
}
"""What a run needs of a model of each format, a key of `partway.graphs.FORMATS`; the best one first."""


def wanted(names: Iterable[str], index: Mapping[str, Any]) -> list[str]:
    """Those of a folder's files that a run needs: of a format that is whole there.

    ONNX, which every engine reads, comes first, and weights that are not exported come last. Raises `PackageError`
    where none is whole.
    """
    names = sorted(names)
    there = {
        format_: {network for network in needed(index) if f"{network}/{file}" in names}
        for format_, file in FILES.items()
    }
    every = set(needed(index)) - {"vae_encoder"}
    for format_, networks in there.items():
        if every <= networks:
            return _matching(names, PATTERNS[format_])
    stored = _stored(names, index)
    if stored is not None:
        return [*_matching(names, _COMMON), *stored]
    if every <= set().union(*there.values()):  # some of one format, some of the other
        return _matching(names, (*PATTERNS["onnx"], *PATTERNS["openvino"]))
    if any(there.values()):
        missing = sorted(every - max(there.values(), key=len))
        raise PackageError(f"it lacks {', '.join(missing)}")
    if any(name.startswith("unet/") and name.endswith((".bin", ".ckpt")) for name in names):
        raise PackageError("it has its weights as pickles (.bin), whose loading runs whatever code is in them")
    raise PackageError("it has no networks that partway reads: ONNX, OpenVINO, or .safetensors as diffusers saves them")


def _matching(names: Sequence[str], patterns: Iterable[str]) -> list[str]:
    patterns = list(patterns)
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _stored(names: Sequence[str], index: Mapping[str, Any]) -> list[str] | None:
    """The weights as diffusers saves them, those of 16 bits where there are such; None where a network has none."""
    listed = {name: index.get(name) for name in _STORED}
    networks = [name for name, row in listed.items() if isinstance(row, list) and row and row[0] is not None]
    found = [_weights(names, network) for network in networks]
    return [*chain.from_iterable(found)] if {"unet", "vae"} <= set(networks) and all(found) else None


def _weights(names: Sequence[str], network: str) -> list[str]:
    for stem in sorted(STEMS, key=lambda stem: not stem.endswith(".fp16")):
        whole = f"{network}/{stem}.safetensors"
        if whole in names:
            return [whole]
        if f"{whole}.index.json" in names:
            return [f"{whole}.index.json", *_matching(names, [f"{network}/{stem}-*-of-*.safetensors"])]
    return []
