"""Where a model lies: built in, in a folder, or on the Hugging Face Hub, of which only what a run needs is fetched."""

import os
from pathlib import Path

from partway.checkpoints.opening import is_file
from partway.errors import PackageError
from partway.graphs import NETWORKS, TOKENIZERS, VAES
from partway.model.catalog import Entry, entries, near

_EXPORTED = (
    "config.json",
    "model.onnx*",
    "openvino_model.*",
    "weights.pb",
    "shallow.*",
    "segment_*",
)  # the last holds large ONNX weights
PATTERNS = [
    "model_index.json",
    "partway.json",
    "goldens/*",
    "scheduler/*.json",
    *(f"{tokenizer}/*.{suffix}" for tokenizer in TOKENIZERS.values() for suffix in ("json", "txt")),
    "vae/config.json",
    *(f"{network}/{name}" for network in (*NETWORKS, *VAES["tiny"]) for name in _EXPORTED),
]

DEFAULT = "rooms"  # of the catalogue


def locate(model: str | Path | None, *, revision: str | None = None) -> Path:
    """Where a model lies: a path as it is, or a Hub id ``owner/name`` fetched (with progress) into the Hub's cache.

    None is "rooms", which comes with partway. Where no folder has the name, names of the catalogue stand for models
    that come with partway and for ready packages on the Hub.
    ``revision`` is a branch, tag or commit. A folder that was fetched before is used when there is no network.
    Raises `PackageError` when there is no such folder and nothing can be fetched.
    """
    if model is None:
        return _built_in(DEFAULT)
    path = Path(model)
    if isinstance(model, str) and path.name == model and (not _lies_here(path) or _only_called(path)):
        entry = _entry(model)
        if entry.built_in is not None:
            return _built_in(model)
        model = _package_of(entry)
        path = Path(model)
    if _lies_here(path) or isinstance(model, Path) or model.count("/") != 1 or model.startswith((".", "/")):
        return Path(os.path.expanduser(path))
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=PATTERNS))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise PackageError(
            f"{model} is neither a folder here nor a model that can be fetched from the Hub "
            f"({type(error).__name__}); check the name and the network, or give a folder"
        ) from error


def fetched(model: str, revision: str | None = None) -> bool:
    """Whether `locate` finds a model without fetching what was never here."""
    path = Path(model)
    if _lies_here(path) and not _only_called(path):
        return True
    entry = entries().get(model)
    if entry is not None and (entry.built_in or entry.package is None):
        return True  # or it is refused, which fetches nothing either
    from huggingface_hub import try_to_load_from_cache

    try:
        name = model if entry is None else str(entry.package)
        return isinstance(try_to_load_from_cache(name, "model_index.json", revision=revision), str)
    except ValueError:  # no name of a repository
        return True


def _only_called(path: Path) -> bool:
    """Whether something here has the name of a catalogue's model and is none: a folder of photos, or a file."""
    return str(path) in entries() and not (path / "model_index.json").exists()


def _lies_here(path: Path) -> bool:
    return os.path.exists(path) or is_file(path) or str(path).startswith("~")


def _entry(name: str) -> Entry:
    entry = entries().get(name)
    if entry is None:
        raise PackageError(f"there is no model folder {name!r} and no model of that name; {near(name)}")
    return entry


def _built_in(name: str) -> Path:
    from partway_rooms import PACKAGES

    return PACKAGES / str(entries()[name].built_in)


def _package_of(entry: Entry) -> str:
    """The Hub id of a catalogue name's ready package."""
    if entry.package is None:
        raise PackageError(f"there is no ready package of {entry.name}; make one first: partway export {entry.name}")
    return entry.package
