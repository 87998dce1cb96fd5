"""Where a model lies: built in, in a folder, or on the Hugging Face Hub, of which only what a run needs is fetched."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from partway.checkpoints.forms import is_file
from partway.engines.external import locations
from partway.errors import PackageError
from partway.graphs import FILES, NETWORKS
from partway.model import families
from partway.model.addresses import Address, parse
from partway.model.catalog import Entry, entries, near
from partway.model.files import read_json
from partway.model.wanted import INDEX, PATTERNS, wanted

DEFAULT = "rooms"  # of the catalogue


def locate(model: str | Path | None, *, revision: str | None = None) -> Path:
    """Where a model lies: a path as it is, or what is named on the Hub fetched (with progress) into the Hub's cache.

    None is "rooms", which comes with partway. Where no folder has the name, names of the catalogue stand for models
    that come with partway and for ready packages on the Hub; ``owner/name``, with ``/folder`` or ``/FILE.safetensors``
    and ``@revision`` after it, or an address, for what lies there.
    ``revision`` is a branch, tag or commit. A folder that was fetched before is used when there is no network.
    Raises `PackageError` when there is no such folder and nothing can be fetched, or nothing there runs: that is told
    before any weights are fetched.
    """
    if model is None:
        return _built_in(DEFAULT)
    path = Path(os.path.expanduser(model))
    if isinstance(model, str) and Path(model).name == model and (not _lies_here(path) or _only_called(path)):
        entry = _entry(model)
        if entry.built_in is not None:
            return _built_in(model)
        model = _package_of(entry)
    elif isinstance(model, Path) or _lies_here(path) or model.startswith("~"):
        return path
    address = parse(model)
    return path if address is None else _fetch(address.pinned(revision))


def fetched(model: str, revision: str | None = None) -> bool:
    """Whether `locate` finds a model without fetching what was never here."""
    path = Path(os.path.expanduser(model))
    if (_lies_here(path) and not _only_called(path)) or model.startswith("~"):
        return True
    entry = entries().get(model)
    if entry is not None and (entry.built_in or entry.package is None):
        return True  # or it is refused, which fetches nothing either
    try:
        address = parse(model if entry is None else str(entry.package))
    except PackageError:
        return True
    if address is None:
        return True
    from huggingface_hub import try_to_load_from_cache

    name = address.inside if address.is_file else _within(address.inside, INDEX)
    found = try_to_load_from_cache(address.repository, name, revision=revision or address.revision)
    return isinstance(found, str)


def _lies_here(path: Path) -> bool:
    """Whether a path is there, or is that of a file that is missing; in a repository of the Hub files lie deeper."""
    here = path.is_absolute() or len(path.parts) < 3 or path.parent.is_dir()
    return os.path.exists(path) or (here and is_file(path))


def _only_called(path: Path) -> bool:
    """Whether something here has the name of a catalogue's model and is none: a folder of photos, or a file."""
    return str(path) in entries() and not (path / INDEX).exists()


def _fetch(address: Address) -> Path:
    """The folder or file in the Hub's cache; of a folder what a run needs, its description first."""
    if address.is_file:
        return _snapshot(address._replace(inside=""), [address.inside]) / address.inside
    index = _index(address)
    families.check(address, index)
    names = _listed(address)
    if names is None:
        return _without_listing(address)
    try:
        chosen = wanted(names, index)
    except PackageError as error:
        raise PackageError(f"{address} holds no model that runs: {error}") from None
    return _completed(address, _snapshot(address, chosen))


def _index(address: Address) -> dict[str, Any]:
    """What a folder's ``model_index.json`` says, which is fetched alone."""
    described = _snapshot(address, [INDEX]) / INDEX
    if not described.exists():
        raise PackageError(f"{address} {_instead(address, _listed(address) or [])}")
    return read_json(described)


def _snapshot(address: Address, names: Sequence[str]) -> Path:
    """The folder with these files in the Hub's cache; names may be patterns."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = [_within(address.inside, name) for name in names]
    try:
        folder = snapshot_download(address.repository, revision=address.revision, allow_patterns=patterns)
    except (OSError, ValueError, HfHubHTTPError) as error:
        at = "" if address.revision is None else f" at {address.revision}"
        raise PackageError(
            f"{address}{at} is neither a folder here nor a model that can be fetched from the Hub "
            f"({type(error).__name__}); check the name and the network, or give a folder"
        ) from error
    return Path(folder) / address.inside


def _without_listing(address: Address) -> Path:
    """The folder where the Hub does not say what it holds, as without a network: of the first format that is there."""
    folder = Path()
    for patterns in PATTERNS.values():
        folder = _completed(address, _snapshot(address, patterns))
        if _holds_networks(folder):
            break
    return folder


def _holds_networks(folder: Path) -> bool:
    unet = folder / "unet"
    return any((unet / name).exists() for name in FILES.values()) or any(unet.glob("*.safetensors"))


def _completed(address: Address, folder: Path) -> Path:
    """The folder with the files that its graphs have their weights in, whatever they are called."""
    missing: list[str] = []
    for network in NETWORKS:
        with suppress(OSError, ValueError):  # there is none, or opening it says what is wrong
            beside = locations(folder / network / FILES["onnx"])
            missing += [f"{network}/{name}" for name in sorted(beside) if not (folder / network / name).exists()]
    return _snapshot(address, missing) if missing else folder


def _listed(address: Address) -> list[str] | None:
    """The names of the files in a folder of the Hub, from there on; None where the Hub cannot be asked."""
    import huggingface_hub as hub

    try:
        names = hub.HfApi().list_repo_files(address.repository, revision=address.revision)
    except Exception:  # of several libraries; what is wrong, if anything is, the first download says
        return None
    start = f"{address.inside}/" if address.inside else ""
    return [name.removeprefix(start) for name in names if name.startswith(start)]


def _instead(address: Address, names: Sequence[str]) -> str:
    """What a folder holds that has no description of a model."""
    folders = [name.removesuffix(f"/{INDEX}") for name in names if name.endswith(f"/{INDEX}")]
    found = folders or [name for name in names if name.endswith(".safetensors") and "/" not in name]
    if found:
        shown = " or ".join(f"{address}/{one}" for one in found[:3])
        return f"holds {'folders of models' if folders else 'no folder of a model, but files'}; give {shown}"
    return f"has no {INDEX}, so it is no model that partway runs"


def _within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


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
