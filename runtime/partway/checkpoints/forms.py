"""What is a checkpoint by its name alone; it imports nothing, for it is asked of every model."""

import os
from pathlib import Path

STEMS = ("diffusion_pytorch_model", "model", "diffusion_pytorch_model.fp16", "model.fp16")
"""What files of weights are called in a folder, without the suffix."""

_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


def is_file(path: Path) -> bool:
    """Whether a path is that of a model's file, which may be missing."""
    return os.path.isfile(path) or (path.suffix.lower() in _FILES and not os.path.isdir(path))


def is_folder(root: Path) -> bool:
    """Whether the folder's UNet is stored as diffusers does."""
    return any((root / "unet").glob("*.safetensors")) or any((root / "unet").glob("*.bin"))
