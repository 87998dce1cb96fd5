"""Compiled networks kept in a folder (OpenVINO's model cache), whose files together stay below a limit.

They lie in ``FOLDER/openvino-VERSION-DEVICE-DRIVER/KEY/``, where the key stands for one network compiled for one shape.
Files of other versions, devices and drivers are removed first, then those that were used the longest ago. No other
files of the folder are touched.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from partway.engines.weights import Openable, WithTokenVectors
from partway.errors import EngineError
from partway.support.files import stamps

_FILES = "openvino-*/*/*.blob"


class Compiled:
    """The compiled networks of one device.

    limit: the most bytes that all compiled networks in the folder may take, also those of other devices. names: what
    the files depend on: OpenVINO's version, the device and its driver. Raises `EngineError` if the folder cannot be
    made.
    """

    def __init__(self, folder: str | Path, limit: int, names: Iterable[str]) -> None:
        self._folder = Path(folder)
        self._own = self._folder / "-".join(["openvino", *(re.sub(r"[^\w.]+", "_", name) for name in names)])
        self._limit = limit
        self._make(self._own)

    def place(self, network: Openable, about: object) -> Path:
        """The folder of a network as it is compiled; ``about`` has the shapes and options of that."""
        if isinstance(network, WithTokenVectors):
            return self.place(network.source, ("worded", about))
        if isinstance(network, Path):
            origin: object = (str(network.resolve()), stamps(network.parent))
        else:  # what it computes, and with which bytes of which files
            origin = (sha256(network.with_inputs()).hexdigest(), sorted(network.weights.items()))
            if network.changes:
                beside = network.exported and stamps(network.exported.parent)
                origin = (origin, beside, sorted((name, change.key) for name, change in network.changes.items()))
        key = sha256(repr((origin, about)).encode()).hexdigest()[:16]
        return self._make(self._own / key)

    def used(self, place: Path) -> None:
        """Note that a folder of `place` was used just now, and remove files until the limit is kept."""
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
        """Every file as (whether it is this device's, when it was used last, path, size in bytes)."""
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
