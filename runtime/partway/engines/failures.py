"""What engines raise when they run out of memory, as partway's error."""

import re

from partway.errors import NetworkError

# What C++, ONNX Runtime, OpenVINO, mmap, CUDA, DirectML and OpenCL say.
_SAID = re.compile(
    r"bad.?alloc|failed to allocate|cannot allocate memory|out ?of ?memory|"
    r"out[ _]of[ _](gpu )?resources|allocation[ _]fail|exceeded max size of memory",
    re.IGNORECASE,
)


def out_of_memory(network: str, engine: str, error: Exception) -> NetworkError | None:
    """The error to raise where an engine's ``error`` means that memory ran out; None where it means something else."""
    if not isinstance(error, MemoryError) and not _SAID.search(str(error)):
        return None
    return NetworkError(
        f"{network}: out of memory in {engine}; use a smaller picture, tile, batch 1, memory_limit or the preset tiny"
    )
