"""A model folder as diffusers saves it: a folder a network, with its configuration beside its weights."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from partway.checkpoints import configs, kinds, vae_names
from partway.checkpoints.forms import STEMS
from partway.checkpoints.parts import Weights, needless
from partway.checkpoints.record import Checkpoint, Part
from partway.checkpoints.safetensors import read_header
from partway.engines.weights import Weight
from partway.errors import PackageError

_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")
_ALWAYS = {
    "act_fn": "silu", "norm_eps": 1e-5, "resnet_time_scale_shift": "default", "time_embedding_type": "positional",
    "conv_in_kernel": 3, "conv_out_kernel": 3, "mid_block_scale_factor": 1, "downsample_padding": 1,
    "class_embed_type": None, "encoder_hid_dim": None, "cross_attention_norm": None, "timestep_post_act": None,
    "time_embedding_act_fn": None, "center_input_sample": False, "dual_cross_attention": False,
    "only_cross_attention": False, "resnet_skip_time_act": False, "resnet_out_scale_factor": 1.0,
}  # fmt: skip
"""What a UNet's configuration says in all models that are built here, and by default."""

_DERIVED = ("in_channels", "block_out_channels", "cross_attention_dim", "time_cond_proj_dim")
_AGAIN = "download the model again"


def open_folder(root: Path) -> Checkpoint:
    """Read a folder's descriptions and headers; raises `PackageError` naming what is missing or does not fit."""
    index = read_json(root / "model_index.json")
    rows = {name: index.get(name) for name in _NETWORKS}
    present = [name for name, row in rows.items() if isinstance(row, list) and row and row[0] is not None]
    parts, idle = {}, []
    for name in present:
        weights, left = folder_weights(root / name)
        parts[name] = Part(weights, read_json(root / name / "config.json"))
        idle += [f"{name}.{tensor}" for tensor in left]
    if "unet" not in parts or "vae" not in parts:
        raise PackageError(f"{root} lacks a UNet or a VAE; {_AGAIN}")
    seen = configs.unet(parts["unet"].weights)
    _check_config(root, parts["unet"].config, seen)
    second = parts["text_encoder_2"].weights if "text_encoder_2" in parts else {}
    told = {name: parts["unet"].config.get(name, seen.get(name)) for name in ("addition_time_embed_dim",)}
    kind = kinds.kind_of(parts["unet"].weights, seen | told, configs.projected(second))
    return Checkpoint(
        path=root,
        title=kind.title,
        reasons=("its configurations say so",),
        index=index,
        scheduler=read_json(root / "scheduler/scheduler_config.json"),
        parts=parts,
        idle=tuple(idle),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises `PackageError` if there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} cannot be read ({error}); {_AGAIN}") from error
    if not isinstance(content, dict):
        raise PackageError(f"{path} does not hold a JSON object; {_AGAIN}")
    return content


def folder_weights(folder: Path) -> tuple[Weights, list[str]]:
    """The weights of one network, which may lie in several files, and names that no network has a use for."""
    stored: dict[str, Weight] = {}
    for file in _files(folder):
        stored |= read_header(file).weights
    names = vae_names.translated(stored) if folder.name == "vae" else {name: name for name in stored}
    used = {names[name]: weight for name, weight in stored.items() if not needless(name)}
    return used, [name for name in stored if needless(name)]


def _files(folder: Path) -> list[Path]:
    for stem in STEMS:
        whole, (name, _, variant) = folder / f"{stem}.safetensors", stem.partition(".")
        if whole.is_file():
            return [whole]
        for index in (f"{stem}.safetensors.index.json", f"{name}.safetensors.index.{variant}.json"):
            if (folder / index).is_file():
                return _shards(folder / index)
    if any(folder.glob("*.bin")):
        raise PackageError(
            f"{folder} has its weights as a pickle (.bin), whose loading runs whatever code is in it; take the "
            ".safetensors files of the same model"
        )
    raise PackageError(f"{folder} has no weights (.safetensors); {_AGAIN}")


def _shards(index: Path) -> list[Path]:
    """The files that an index names; each has to lie beside it."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise PackageError(f"{index} names no files of weights; {_AGAIN}")
    names = sorted(set(places.values()))
    for name in names:
        if PurePosixPath(name).name != name or not (index.parent / name).is_file():
            raise PackageError(f"{index} names {name!r}, which does not lie beside it; {_AGAIN}")
    return [index.parent / name for name in names]


def _check_config(root: Path, config: configs.Config, seen: configs.Config) -> None:
    """Raise `PackageError` where ``config.json`` and the weights are of different UNets, or of none that is built."""
    for name, value in _ALWAYS.items():
        if config.get(name, value) != value:
            raise PackageError(
                f"{root}/unet/config.json says {name} {config[name]!r}, where all that partway runs have {value!r}"
            )
    for name in _DERIVED:
        said = config.get(name)
        if said is not None and said != seen.get(name):
            raise PackageError(
                f"{root}/unet/config.json says {name} {said}, and its weights {seen.get(name)}; {_AGAIN}"
            )
