"""Compiled networks kept in a folder (OpenVINO's model cache), whose files together stay below a limit.

They lie in ``FOLDER/openvino-VERSION-DEVICE-DRIVER/KEY/``, where the key stands for one network as it is compiled for
one shape. What another version, device or driver has left is the first to go, then what was used the longest ago. No
other files of the folder are touched.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from partway.engines.weights import Graph
from partway.errors import EngineError
from partway.support.files import stamps

_FILES = "openvino-*/*/*.blob"


class Compiled:
    """The compiled networks of one device, whose ``names`` are its version, what it is called and its driver's version.

    limit: the most bytes that all of them may take in the folder, those of others counted. Raises `EngineError` if the
    folder cannot be made.
    """

    def __init__(self, folder: str | Path, limit: int, names: Iterable[str]) -> None:
        self._folder = Path(folder)
        self._own = self._folder / "-".join(["openvino", *(re.sub(r"[^\w.]+", "_", name) for name in names)])
        self._limit = limit
        self._make(self._own)

    def place(self, network: Path | Graph, about: object) -> Path:
        """The folder for a network and what it is compiled ``about``: shapes and options."""
        if isinstance(network, Path):
            origin: object = (str(network.resolve()), stamps(network.parent))
        else:  # what it computes, and with which bytes of which files
            origin = (sha256(network.with_inputs()).hexdigest(), sorted(network.weights.items()))
        key = sha256(repr((origin, about)).encode()).hexdigest()[:16]
        return self._make(self._own / key)

    def used(self, place: Path) -> None:
        """Note that what lies there was used just now, and remove files until the limit is kept."""
        for file in place.glob("*.blob"):
            with suppress(OSError):
                file.touch()
        found = sorted(self._found())
        total = sum(size for *_, size in found)
        for _, _, file, size in found:
            if total <= self._limit:
                break
            with suppress(OSError):  # someone has it open, or was quicker
                file.chmod(0o600)  # they are read-only, and Windows removes no such file
                file.unlink()
                total -= size
                file.parent.rmdir()
                file.parent.parent.rmdir()

    def _found(self) -> Iterator[tuple[bool, float, Path, int]]:
        """Every file: whether it is this device's, when it was used last, its path and its size in bytes."""
        for file in self._folder.glob(_FILES):
            with suppress(OSError):
                about = file.stat()
                yield self._own in file.parents, about.st_mtime, file, about.st_size

    def _make(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(f"cache_dir {self._folder} cannot be made: {error.strerror}; choose another") from error
        return folder
