"""A model that is not exported, as one record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from partway.checkpoints.configs import Config
from partway.checkpoints.parts import Weights

TINY = "tiny_vae"


@dataclass(frozen=True, eq=False)
class Part:
    """One network's weights, by diffusers' names, and its ``config.json``."""

    weights: Weights
    config: Config


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model that is not exported.

    title, reasons  what it was taken for, and why
    index, scheduler  what ``model_index.json`` and ``scheduler_config.json`` say, or would
    parts           "unet", "vae", "text_encoder" and "text_encoder_2", those that it has, and `TINY` if given
    idle            names of tensors in its files that no network uses
    """

    path: Path
    title: str
    reasons: tuple[str, ...]
    index: Config
    scheduler: Config
    parts: Mapping[str, Part]
    idle: tuple[str, ...]
