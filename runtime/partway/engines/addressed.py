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
    if not linked(graph):
        return core.read_model(str(graph)), []
    return built(core, graph.read_bytes(), graph.parent)


def built(core: Any, message: bytes, folder: Path) -> tuple[Any, list[Mapped]]:
    """The same of a message that names its weights' files from ``folder`` on."""
    mapped: dict[str, Mapped] = {}

    def place(places: Places) -> Places:
        name = places["location"]
        if name not in mapped:
            mapped[name] = Mapped(folder / name)
        weights = mapped[name].bytes
        offset = int(places.get("offset", 0))
        length = int(places.get("length", len(weights) - offset))
        if offset < 0 or length < 0 or offset + length > len(weights):
            raise ValueError(f"{name} was cut short")
        return {"location": _IN_MEMORY, "offset": str(weights.ctypes.data + offset), "length": str(length)}

    return core.read_model(moved(message, place)), list(mapped.values())
