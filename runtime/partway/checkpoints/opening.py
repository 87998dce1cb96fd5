"""A model that is not exported, be it one file or a folder that diffusers saved."""

from dataclasses import replace
from pathlib import Path

from partway.checkpoints import configs
from partway.checkpoints.folder import open_folder
from partway.checkpoints.forms import is_file
from partway.checkpoints.record import TINY, Checkpoint, Part
from partway.checkpoints.single_file import open_file, open_vae
from partway.checkpoints.tiny_names import is_tiny, open_tiny
from partway.errors import PackageError


def open_checkpoint(
    path: Path, *, vae: Path | None = None, tiny_vae: Path | None = None, prediction: str | None = None
) -> Checkpoint:
    """Read what a file or a folder says of itself; its weights stay where they are.

    vae: a file with a VAE in place of the model's own, or with a tiny one; tiny_vae: a file or folder of a tiny
    autoencoder (TAESD), to go beside it; prediction: "epsilon" or "v_prediction", for files that do not say. Raises
    `PackageError` naming what it is instead, or what it lacks.
    """
    if vae is not None and is_tiny(vae):
        vae, tiny_vae = None, vae
    checkpoint = _open(path, vae, prediction)
    return checkpoint if tiny_vae is None else _with_tiny(checkpoint, tiny_vae)


def _open(path: Path, vae: Path | None, prediction: str | None) -> Checkpoint:
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


def _with_tiny(checkpoint: Checkpoint, source: Path) -> Checkpoint:
    """The checkpoint with a tiny autoencoder beside its VAE; raises `PackageError` if its latents are others."""
    weights = open_tiny(source)
    vae = checkpoint.parts["vae"].weights["decoder.conv_in.weight"].shape[1]
    tiny = weights["decoder.layers.0.weight"].shape[1]
    if tiny != vae:
        raise PackageError(f"{source} has latents of {tiny} channels where the model has {vae}")
    return replace(checkpoint, parts={**checkpoint.parts, TINY: Part(weights, {})})
