"""The parts of a package that are not networks: configs, tokenizer, scheduler, model index, goldens."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from partway.checkpoints.record import Checkpoint
from partway.errors import PackageError
from partway.graphs import TOKENIZERS
from partway.model.package import Package
from partway.model.tokens import BEGIN, END, LENGTH
from partway.model.vocabulary import padding, pairs
from partway_export.reference import Reference

CONFIG_OF = {"vae_encoder": "vae", "vae_decoder": "vae"}
_UNUSED = ("safety_checker", "feature_extractor", "image_encoder")


def write_settings(package: Package, folder: Path) -> None:
    """Write what the runtime reads beside the networks of a model that is not exported.

    What the source says is not changed, but that folders on the exporting machine are left out. Raises PackageError
    when a part is missing.
    """
    checkpoint = package.checkpoint
    assert checkpoint is not None
    for network in (*package.text_encoders, "unet", *CONFIG_OF):
        config = checkpoint.parts[CONFIG_OF.get(network, network)].config
        _json({key: value for key, value in config.items() if key != "_name_or_path"}, folder / network / "config.json")
    for network in package.text_encoders:
        name = TOKENIZERS[network]
        if checkpoint.path.is_file():
            _write_tokenizer(folder / name, padding(package, network))
        else:
            _copy_tokenizer(checkpoint.path / name, folder / name)
    scheduler = checkpoint.path / "scheduler/scheduler_config.json"
    target = folder / "scheduler/scheduler_config.json"
    _json(checkpoint.scheduler, target)
    if scheduler.is_file():
        shutil.copyfile(scheduler, target)
    _json(_index(package, checkpoint), folder / "model_index.json")


def write_goldens(folder: Path, references: Mapping[str, Reference]) -> dict[str, str]:
    """Write ``goldens/<network>.npz``, arrays "inputs/<name>" and "outputs/<name>"; return the paths."""
    (folder / "goldens").mkdir()
    paths = {}
    for name, (inputs, outputs) in references.items():
        paths[name] = f"goldens/{name}.npz"
        arrays = {f"inputs/{key}": value for key, value in inputs.items()}
        arrays |= {f"outputs/{key}": value for key, value in outputs.items()}
        np.savez_compressed(folder / paths[name], allow_pickle=False, **arrays)
    return paths


def _index(package: Package, checkpoint: Checkpoint) -> dict[str, Any]:
    """What ``model_index.json`` says; of a file, what diffusers' pipelines say."""
    index = dict(checkpoint.index)
    index |= {part: [None, None] for part in _UNUSED if part in index}
    if checkpoint.path.is_file():
        index |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
        index["scheduler"] = ["diffusers", checkpoint.scheduler["_class_name"]]
        for network in package.text_encoders:
            index[network] = ["transformers", checkpoint.parts[network].config["architectures"][0]]
            index[TOKENIZERS[network]] = ["transformers", "CLIPTokenizer"]
        if not package.size_conditions:
            index |= {part: [None, None] for part in _UNUSED}
    index["requires_safety_checker"] = False
    return index


def _copy_tokenizer(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        if not (source / name).is_file():
            raise PackageError(f"{source} has no {name}; fetch the model again")
    for path in sorted(source.iterdir()):
        if path.suffix in (".json", ".txt"):
            shutil.copyfile(path, target / path.name)


def _write_tokenizer(folder: Path, padding: str) -> None:
    """CLIP's own, as transformers writes it."""
    words, merges = pairs()
    special = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": padding}
    _json(words, folder / "vocab.json")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _json(special, folder / "special_tokens_map.json")
    settings = {"model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    _json({**special, **settings}, folder / "tokenizer_config.json")


def _json(content: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
