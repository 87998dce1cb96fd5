"""Which files a model folder has, and whether they are what their names say."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from partway.engines.external import locations
from partway.errors import PackageError
from partway.graphs import FILES, MAX_SEGMENTS, NETWORKS, SEGMENT, SHALLOW, SHALLOW_FILES, TINY
from partway.support.files import impostor

_INDEX = "model_index.json"
_AGAIN = "export or download the model again"
_OPTIONAL = {"vae_encoder"}  # a model without it makes pictures from text


def networks(root: Path, needed: Sequence[str], manifest: Mapping[str, Any]) -> tuple[str, dict[str, Path]]:
    """A folder's format and the file of each network.

    Where networks of both formats lie there, it is the one that is whole; else each network's own, which is told as
    OpenVINO's, for that engine reads both. Raises `PackageError` naming what is missing or no such file.
    """
    found = {
        format_: {network: place(root, manifest, f"{network}/{name}") for network in needed}
        for format_, name in FILES.items()
    }
    there = {format_: {name for name, file in files.items() if file.is_file()} for format_, files in found.items()}
    if not any(there.values()):
        raise PackageError(f"{root} holds no exported networks; export it with: partway export {root} OUT")
    wanted = set(needed) - _OPTIONAL
    whole = next((format_ for format_, names in there.items() if wanted <= names), None)
    if whole is None and wanted <= set().union(*there.values()):
        format_ = "openvino"
        files = {name: found[one][name] for one in FILES for name in needed if name in there[one]}
    else:
        format_ = whole or max(there, key=lambda one: len(there[one]))
        files = found[format_]
    files = {name: file for name, file in files.items() if name in wanted or file.is_file()}
    for file in files.values():
        check(file)
    return format_, files | dict(_further(root, format_, manifest))


def place(root: Path, manifest: Mapping[str, Any], name: str) -> Path:
    """Where a file lies by its name in the manifest: in the folder itself, or in the one that it shares files with."""
    own, other = root / name, manifest.get("shares")
    return own if other is None or own.exists() else root.resolve().parent / other / name


def check(graph: Path) -> None:
    """Raise `PackageError` unless a network's file is there, and whatever holds its weights.

    What is inside is for the engine to judge when it loads the network, so that others run and a check names this one.
    """
    _check_there(graph)
    if graph.suffix != ".onnx":
        _check_there(graph.with_suffix(".bin"))
        return
    with suppress(ValueError):
        for name in sorted(locations(graph)):
            _check_there(graph.parent / name)


def _check_there(file: Path) -> None:
    if not file.is_file() or file.stat().st_size == 0:
        raise PackageError(f"{file} is missing or empty; {_AGAIN}")
    if what := impostor(file):
        raise PackageError(f"{file} {what}")


def _further(root: Path, format_: str, manifest: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """What partway's own export adds: a shallow UNet, its segments, a tiny VAE."""
    unet = root / "unet"
    further = {SHALLOW: unet / SHALLOW_FILES[format_]}
    further |= {f"unet_segment_{index}": unet / SEGMENT.format(index) for index in range(MAX_SEGMENTS)}
    further |= {network: place(root, manifest, f"{network}/{FILES[format_]}") for network in TINY}
    return ((network, file) for network, file in further.items() if file.is_file())


def is_part(path: Path) -> bool:
    """Whether a path is that of a file that is no model, but one network of one, or a description."""
    within = (path.parent.parent / _INDEX).is_file() and path.parent.name in (*NETWORKS, "vae", *TINY)
    return path.is_file() and (within or path.suffix.lower() in (".onnx", ".xml", ".json"))


def whereabouts(path: Path) -> str:
    """The end of a message about a path that is no model's: where one may lie instead."""
    around = next((folder for folder in (path.parent, path.parent.parent) if (folder / _INDEX).is_file()), None)
    if around is not None:
        return f"is a part of the model in {around}; give that folder"
    if path.is_file():
        return "is a part of a model, which is a folder of several networks; give that folder"
    inside = sorted(file.parent for file in path.glob(f"*/{_INDEX}"))
    if inside:
        return f"holds {'models' if inside[1:] else 'a model'} one folder deeper; give {' or '.join(map(str, inside))}"
    return f"is no model folder, for {_INDEX} is missing; {_AGAIN}"


def manifest(path: Path) -> dict[str, Any]:
    """The contents of partway.json, checked; empty where there is none."""
    content = read_json(path) if path.exists() else {}
    parts = [content.get(name, {}) for name in ("files", "goldens", "verification")]
    if not all(isinstance(part, dict) for part in parts) or not all(
        isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and "sha256" in entry
        for entry in parts[0].values()
    ):
        raise PackageError(f"{path} is damaged; {_AGAIN}")
    other = content.get("shares", "shared")
    if not isinstance(other, str) or other in ("", "..") or Path(other).name != other:
        raise PackageError(f"{path} shares files with {other!r}, which is not the name of a folder beside it")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises `PackageError` if there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PackageError(f"{path} is missing; {_AGAIN}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PackageError(f"{path} {impostor(path) or f'cannot be read ({error}); {_AGAIN}'}") from error
    if not isinstance(content, dict):
        raise PackageError(f"{path} does not hold a JSON object; {_AGAIN}")
    return content
