"""A model that is not exported, be it one file or a folder that diffusers saved."""

import os
from dataclasses import replace
from pathlib import Path

from partway.checkpoints import configs
from partway.checkpoints.folder import open_folder
from partway.checkpoints.record import Checkpoint, Part
from partway.checkpoints.single_file import open_file, open_vae
from partway.errors import PackageError

_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


def is_file(path: Path) -> bool:
    """Whether a path is that of a model's file, which may be missing."""
    return os.path.isfile(path) or (path.suffix.lower() in _FILES and not os.path.isdir(path))


def open_checkpoint(path: Path, *, vae: Path | None = None, prediction: str | None = None) -> Checkpoint:
    """Read what a file or a folder says of itself; its weights stay where they are.

    vae: a file with a VAE in place of the model's own; prediction: "epsilon" or "v_prediction", for files that do not
    say. Raises `PackageError` naming what it is instead, or what it lacks.
    """
    if is_file(path):
        return open_file(path, vae=vae, prediction=prediction)
    checkpoint = open_folder(path)
    if prediction is not None:
        raise PackageError(f"{path} says in scheduler/scheduler_config.json what it predicts; leave prediction out")
    if vae is None:
        return checkpoint
    weights, own = open_vae(vae), checkpoint.parts["vae"].config
    config = {**configs.vae(weights), "scaling_factor": own.get("scaling_factor")}
    return replace(checkpoint, parts={**checkpoint.parts, "vae": Part(weights, config)})
