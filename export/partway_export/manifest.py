"""partway.json: where the package comes from, what is in it, and how near to torch it was found to be."""

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from partway.building.described import Described
from partway.building.exported import Exported
from partway.graphs import ADAPTED, FILES, FUSED
from partway.loras import Lora
from partway_export.fetch import Source
from partway_export.fused import told

MANIFEST = "partway.json"
_LIBRARIES = ("numpy", "onnxruntime", "openvino", "onnx", "nncf", "torch", "diffusers", "transformers")
"""What may have had a hand in an export, as Python imports them."""


def write_manifest(
    folder: Path,
    source: Source,
    *,
    to: str,
    weights: str,
    truth: str,
    verification: Mapping[str, Mapping[str, float]],
    goldens: Mapping[str, str],
    calibration: Mapping[str, Any] | None = None,
    loras: Sequence[Lora] = (),
) -> dict[str, Any]:
    """Write ``partway.json`` with the checksum of every other file in ``folder``; return its contents.

    truth: what the networks were compared with; calibration: what activations' ranges were taken from, where they were;
    loras: adapters that are a part of it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    contents: dict[str, Any] = {
        "partway": 1,
        "source": source.name,
        "revision": source.revision,
        "licence": source.licence,
        "format": to,
        "weights": weights,
        "truth": truth,
        **(FUSED if to == "onnx" else {}),
        **({"calibration": dict(calibration)} if calibration else {}),
        **({"loras": told(loras)} if loras else {}),
        "versions": versions(),
        "layers": {name: table for name in ADAPTED if (table := _table(folder / name / FILES[to]))},
        "files": {path.relative_to(folder).as_posix(): describe(path) for path in files},
        "verification": {name: dict(figures) for name, figures in verification.items()},
        "goldens": dict(goldens),
    }
    put_manifest(folder, contents)
    return contents


def put_manifest(folder: Path, contents: Mapping[str, Any]) -> None:
    """Writes a package's ``partway.json``."""
    (folder / MANIFEST).write_text(json.dumps(contents, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(path: Path) -> dict[str, str]:
    """The layers that adapters may change, by the names of the nodes that multiply by their weights."""
    if not path.is_file():
        return {}
    return (Exported if path.suffix == ".onnx" else Described)(path).table


def describe(path: Path) -> dict[str, Any]:
    """Return the SHA-256 (hex) and the size in bytes of a file."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def versions() -> dict[str, str]:
    """Return the versions of partway and of the libraries that had a hand in the export, for they are imported."""
    return {name: importlib.metadata.version(name) for name in ("partway", *_LIBRARIES) if sys.modules.get(name)}
