"""An adapter's file: its tensors by the layer that they change, and what it says of itself. No number is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.adapters.others import MODEL, other
from partway.adapters.roles import kind_of, split
from partway.checkpoints.safetensors import read_header
from partway.checkpoints.values import read
from partway.engines.weights import Source, Weight
from partway.errors import PackageError

_BUNDLED = "bundle_emb."
_CONFIG = "lora_adapter_metadata"
_BESIDE = "adapter_config.json"


@dataclass(frozen=True, eq=False)
class Module:
    """What changes one layer: its kind (`partway.adapters.roles`) and its tensors by their roles.

    alpha  what the file says beside its tensors, for trainers that keep it there; None where it does not
    """

    name: str
    kind: str
    tensors: Mapping[str, Weight]
    alpha: float | None = None

    def values(self) -> dict[str, NDArray[np.float64]]:
        """The tensors; raises `PackageError` if their file has changed."""
        return {role: read(weight).astype(np.float64) for role, weight in self.tensors.items()}

    @property
    def rank(self) -> int | None:
        """The rank of its pair, or of the first where it has several; None without any."""
        ranked = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b")
        return next((self.tensors[role].shape[0] for role in ranked if role in self.tensors), None)


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter's file.

    modules     what it changes, by the file's own names of layers
    embeddings  names of embeddings (textual inversions) that lie in it too
    """

    path: Path
    source: Source
    modules: Mapping[str, Module]
    metadata: Mapping[str, str]
    embeddings: tuple[str, ...]

    @property
    def kinds(self) -> dict[str, int]:
        """How many layers each kind changes, the most frequent first; DoRA counts as a kind."""
        names = [_called(module) for module in self.modules.values()]
        return {name: names.count(name) for name in sorted(set(names), key=lambda one: (-names.count(one), one))}


def _called(module: Module) -> str:
    decomposed = {"dora_scale", "magnitude"} & module.tensors.keys()
    if module.kind == "LoRA" and any(len(one.shape) == 4 and one.shape[2] > 1 for one in module.tensors.values()):
        return "DoRA" if decomposed else "LoCon"
    if module.kind == "OFT" and len(module.tensors["oft_blocks"].shape) == 4:
        return "BOFT"
    return "DoRA" if decomposed else module.kind or "difference of biases"


def is_adapter(path: Path) -> bool:
    """Whether a file has tensors that only adapters have; raises `PackageError` for a broken .safetensors file."""
    if path.suffix.lower() not in (".safetensors", ".sft") or not path.is_file():
        return False
    names = read_header(path).weights
    roles = {found[1] for found in map(split, names) if found}
    return bool(roles - {"alpha", "ratio"})


def open_adapter(path: str | Path) -> Adapter:
    """Read the header of an adapter's file; raises `PackageError` naming what it is instead, or what is wrong."""
    path = Path(path)
    try:
        source = Source.of(path)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    return _opened(path, source)


@lru_cache(32)
def _opened(path: Path, source: Source) -> Adapter:
    header = read_header(path)
    if "lora_controlnet" in header.weights:
        raise PackageError(f"{path} is a Control-LoRA, which goes with a ControlNet; it is no LoRA of a model")
    grouped, bundled, left = _grouped(header.weights)
    if not any(group.keys() - {"alpha"} for group in grouped.values()):
        raise PackageError(f"{path} {_instead(header.weights)}")
    if left:
        raise PackageError(
            f"{path} has {len(header.weights)} tensors, and {len(left)} that no kind of adapter has: {left[0]}"
        )
    told = _told(path, header.metadata, header.weights)
    modules = {name: _module(path, name, group, told) for name, group in grouped.items() if group.keys() - {"alpha"}}
    return Adapter(path, source, modules, header.metadata, bundled)


def _grouped(weights: Mapping[str, Weight]) -> tuple[dict[str, dict[str, Weight]], tuple[str, ...], list[str]]:
    """Tensors by layer and role, names of embeddings, and names of tensors that have no place in an adapter."""
    scaled = {name.removesuffix(".on_input") for name in weights if name.endswith(".on_input")}
    grouped: dict[str, dict[str, Weight]] = {}
    bundled: dict[str, None] = {}
    left: list[str] = []
    for name, weight in weights.items():
        if name.startswith(_BUNDLED):
            bundled[name.removeprefix(_BUNDLED).split(".")[0]] = None
        elif (found := split(name)) and (found[1] != "ratio" or found[0] in scaled):
            grouped.setdefault(found[0], {})[found[1]] = weight
        else:
            left.append(name)
    return grouped, tuple(bundled), left


def _module(path: Path, name: str, tensors: Mapping[str, Weight], told: Mapping[str, Any]) -> Module:
    kind = kind_of(tensors)
    if kind is None:
        roles = ", ".join(sorted(tensors))
        raise PackageError(f"{path} has {roles} of {name}, which make up no kind of adapter; download it again")
    alpha = None if "alpha" in tensors or kind != "LoRA" else _alpha(name, tensors["down"].shape[0], told)
    return Module(name, kind, tensors, alpha)


def _told(path: Path, metadata: Mapping[str, str], names: Mapping[str, Weight]) -> Mapping[str, Any]:
    """What PEFT's configuration says, which is in the metadata of diffusers' files and beside those of PEFT itself."""
    try:
        if _CONFIG in metadata:
            content = json.loads(metadata[_CONFIG])
        elif any(name.startswith("base_model.model.") for name in names) and (path.parent / _BESIDE).is_file():
            content = json.loads((path.parent / _BESIDE).read_text("utf-8"))
        else:
            return {}
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} has a configuration that cannot be read ({error}); download it again") from error
    return content if isinstance(content, dict) else {}


def _alpha(name: str, rank: int, told: Mapping[str, Any]) -> float | None:
    """The alpha of a pair of this rank by PEFT's configuration, such that alpha / rank is its scale."""
    starts = ("unet.", "text_encoder_2.", "text_encoder.")
    start = next((one for one in starts if name.startswith(one) and f"{one}lora_alpha" in told), "")
    alpha = told.get(f"{start}lora_alpha")
    pattern = told.get(f"{start}alpha_pattern")
    for ending, value in pattern.items() if isinstance(pattern, dict) else ():
        if name == ending or name.endswith(f".{ending}"):
            alpha = value
    if not isinstance(alpha, int | float) or isinstance(alpha, bool):
        return None
    return float(alpha) * (rank**0.5 if told.get(f"{start}use_rslora") is True else 1.0)


def _instead(weights: Mapping[str, Weight]) -> str:
    """What a file is that changes no weights, as the end of a sentence."""
    known = other(weights)
    if known is None:
        return "holds nothing that changes a model's weights"
    return f"{known}, and no LoRA{'; give it as the model' if known == MODEL else ''}"
