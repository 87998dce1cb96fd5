"""An ONNX graph whose weights lie elsewhere than beside it, as an OpenVINO model.

OpenVINO refuses files outside of the graph's folder. It takes addresses in memory, under a name that ONNX Runtime has
for them; so the files are mapped, and the graph names where their bytes are. Nothing is copied.
"""

from pathlib import Path
from typing import Any

from partway.engines.external import Places, linked, moved
from partway.engines.mapped import Mapped

_IN_MEMORY = "*/_ORT_MEM_ADDR_/*"


def read(core: Any, graph: Path) -> tuple[Any, list[Mapped]]:
    """The model of an ONNX file, and what has to stay mapped for as long as it or what is compiled from it lives.

    Raises RuntimeError, OSError and ValueError, as OpenVINO, files and damaged files do.
    """
    away = linked(graph)
    if not away:
        return core.read_model(str(graph)), []
    mapped = {file: Mapped(file) for file in away}

    def place(places: Places) -> Places:
        weights = mapped[graph.parent / places["location"]].bytes
        offset = int(places.get("offset", 0))
        length = int(places.get("length", len(weights) - offset))
        if offset < 0 or length < 0 or offset + length > len(weights):
            raise ValueError(f"{places['location']} was cut short")
        return {"location": _IN_MEMORY, "offset": str(weights.ctypes.data + offset), "length": str(length)}

    return core.read_model(moved(graph, place)), list(mapped.values())
