"""A tiny autoencoder's tensors under diffusers' names (AutoencoderTiny), from those of its author's files (TAESD).

The author has a file for each half, whose layers are numbered; those of the decoder begin with one that has no weights.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from partway.checkpoints.folder import folder_weights
from partway.checkpoints.headers import read_header
from partway.engines.weights import Weight
from partway.errors import PackageError

_OWN = re.compile(r"(encoder|decoder)\.layers\.\d+\.")
_NUMBERED = re.compile(r"(?:taesd_(?:encoder|decoder)\.)?(\d+)\.((?:conv\.\d+\.|skip\.)?(?:weight|bias))")
_HALVES = ("encoder", "decoder")


def is_tiny(path: Path) -> bool:
    """Whether a file holds a tiny autoencoder, or one half of it; raises `PackageError` if it cannot be read."""
    names = read_header(path).weights
    return bool(names) and (_all(_OWN, names) or _all(_NUMBERED, names))


def open_tiny(path: Path) -> Mapping[str, Weight]:
    """The weights of both halves, from a file or from a folder that diffusers saved.

    A file that holds one half has the other beside it, under the same name but for the half's. Raises `PackageError`
    where that is missing, and for other networks.
    """
    found = folder_weights(path)[0] if path.is_dir() else read_header(path).weights
    if not _all(_OWN, found):
        found = _both(path, found)
    if not all(f"{half}.layers.0.weight" in found for half in _HALVES):
        raise PackageError(f"{path} holds no tiny autoencoder (AutoencoderTiny, TAESD)")
    return found


def _both(path: Path, found: Mapping[str, Weight]) -> Mapping[str, Weight]:
    """Both halves, of which the file at ``path`` holds one."""
    files = {half: path.with_name(re.sub("encoder|decoder", half, path.name)) for half in _HALVES}
    if not _all(_NUMBERED, found) or path not in files.values():
        return {}
    if missing := [file.name for file in files.values() if not file.is_file()]:
        raise PackageError(f"{path} is one half of a tiny autoencoder; put the other one beside it: {missing[0]}")
    both: dict[str, Weight] = {}
    for half, file in files.items():
        for name, weight in read_header(file).weights.items():
            if layer := _NUMBERED.fullmatch(name):
                both[f"{half}.layers.{int(layer[1]) - (half == 'decoder')}.{layer[2]}"] = weight
    return both


def _all(pattern: re.Pattern[str], names: Iterable[str]) -> bool:
    return all(map(pattern.match, names))
