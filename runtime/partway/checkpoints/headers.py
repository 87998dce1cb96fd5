"""The header of a model's file, of either format; which one it is, its first bytes say and not its name."""

from pathlib import Path

from partway.checkpoints import gguf, safetensors
from partway.checkpoints.safetensors import Header
from partway.errors import PackageError


def read_header(path: Path) -> Header:
    """Read and check the header of a .safetensors or GGUF file; raises `PackageError` saying what is wrong with it."""
    try:
        reader = gguf if gguf.is_gguf(path) else safetensors
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from error
    return reader.read_header(path)
