"""The parts of a package that are not networks: configs, tokenizer, scheduler, model index, goldens."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from partway.errors import PackageError
from partway_export.families import Family
from partway_export.load import read_index
from partway_export.reference import Reference

CONFIG_OF = {"vae_encoder": "vae", "vae_decoder": "vae"}


def copy_settings(source: Path, folder: Path, family: Family) -> None:
    """Copy what the runtime reads beside the networks from the diffusers folder ``source``.

    Nothing is changed but that the folders on the exporting machine are left out. Raises PackageError when a part is
    missing.
    """
    for network in family.networks:
        path = folder / network / "config.json"
        _copy(source / CONFIG_OF.get(network, network) / "config.json", path)
        _forget_path(path)
    _copy(source / "scheduler/scheduler_config.json", folder / "scheduler/scheduler_config.json")
    for tokenizer in family.tokenizers:
        for name in ("vocab.json", "merges.txt"):
            _copy(source / tokenizer / name, folder / tokenizer / name)
        for path in sorted((source / tokenizer).iterdir()):
            if path.suffix in (".json", ".txt"):
                _copy(path, folder / tokenizer / path.name)
    index = dict(read_index(source))
    for part in ("safety_checker", "feature_extractor", "image_encoder"):
        if part in index:
            index[part] = [None, None]
    index["requires_safety_checker"] = False
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def latent_channels(folder: Path) -> int:
    """The channels of a package's latents, as the VAE's settings in ``folder`` have them."""
    config = json.loads((folder / "vae_decoder/config.json").read_text(encoding="utf-8"))
    return int(config.get("latent_channels", 4))


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


def _forget_path(config: Path) -> None:
    """Drop ``_name_or_path``, where diffusers notes the folder that a network was loaded from."""
    contents = json.loads(config.read_text(encoding="utf-8"))
    if contents.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise PackageError(f"{source.parent} has no {source.name}; fetch the model again") from None
