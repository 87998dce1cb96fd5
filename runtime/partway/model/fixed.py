"""The size of pictures that a network's graph is fixed to, read from its file without loading the network.

Only the part of the file before its first input that is a picture is read, once for each state of the file.
"""

from functools import lru_cache
from pathlib import Path

from partway.model.ports import each


def fixed_size(file: Path) -> tuple[int, int] | None:
    """Height and width of the one size that a network takes, in its own pixels or latents; None if it takes any.

    ``file`` is ONNX or OpenVINO's .xml. None too for a file that cannot be read: loading it says what is wrong.
    """
    try:
        about = file.stat()
        return _read(file, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, LookupError, SyntaxError):
        return None


@lru_cache(64)
def _read(file: Path, changed: int, size: int) -> tuple[int, int] | None:
    """The size that a file in this state says."""
    height, width = next((shape[2:] for _, shape in each(file) if len(shape) == 4), (None, None))
    return None if height is None or width is None else (height, width)
