"""Find the model: a local file or diffusers folder, or a Hub id of which only the needed files are fetched."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from partway.errors import InputError, PackageError
from partway.model.catalog import entries, near

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2")
_SMALL = re.compile(r"(model_index\.json|README\.md|(tokenizer|tokenizer_2|scheduler)/[^/]+\.(json|txt))")
_NAME = "diffusion_pytorch_model|pytorch_model|model"
_WEIGHTS = re.compile(rf"(?:{_NAME})([.\w-]*)\.(safetensors|bin)(\.index([.\w]*)\.json)?")
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


class Source(NamedTuple):
    """A diffusers folder or a model's file on this machine, and where it comes from."""

    path: Path
    name: str
    revision: str | None
    licence: str | None


def fetch(source: str, revision: str | None = None) -> Source:
    """Return what ``source`` names: a path, a Hub id ("owner/name") fetched at ``revision``, or a catalogue name.

    Raises InputError when it is neither, PackageError when the Hub has no such model or cannot be reached.
    """
    path = Path(source)
    if path.exists():
        kind = "folder" if path.is_dir() else "file"
        if revision is not None:
            raise InputError(f"{source} is a local {kind}, which has no revisions; leave --revision out")
        name = path.resolve().name if path.is_dir() else path.name  # not the path: packages are passed on
        return Source(path, name, None, licence(path))
    if (entry := entries().get(source)) is not None:
        if entry.built_in is not None:
            raise InputError(f"{source} comes with partway, ready to run: --model {source}; it needs no export")
        return fetch(entry.source, revision or entry.revision)
    if re.fullmatch(r"[\w.-]+", source):
        raise InputError(f"{source} does not exist and is no name of the catalogue; {near(source)}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise InputError(
            f"{source} does not exist; give a .safetensors file, a diffusers folder or a Hub id (owner/name)"
        )
    folder, sha = _snapshot(source, revision)
    return Source(folder, source, sha, licence(folder))


def wanted(files: Sequence[str]) -> list[str]:
    """Choose from a repository's ``files`` those that an export needs: configs, tokenizers, a set of weights.

    Weights in order of preference: safetensors in full precision, safetensors in fp16, .bin files.
    Single-file checkpoints, safety checkers, EMA copies and other frameworks' weights are left.
    """
    chosen = [file for file in files if _SMALL.fullmatch(file)]
    alone = "config.json" in files and "model_index.json" not in files  # one network, as a tiny autoencoder
    for folder in [""] if alone else [f"{component}/" for component in COMPONENTS]:
        inside = [file for file in files if file.startswith(folder) and "/" not in file.removeprefix(folder)]
        sets: dict[tuple[str, str], list[str]] = {}
        for file in inside:
            match = _WEIGHTS.fullmatch(file.removeprefix(folder))
            if match:
                variant = _SHARD.sub("", match[1]) + (match[4] or "")
                sets.setdefault((variant, match[2]), []).append(file)
        chosen += [file for file in inside if file == f"{folder}config.json"]
        for key in (("", "safetensors"), (".fp16", "safetensors"), ("", "bin")):
            if key in sets:
                chosen += sets[key]
                break
    return chosen


def licence(folder: Path) -> str | None:
    """Return the licence that the front matter of the folder's README.md (its model card) names, if any."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    match = front and re.search(r"^license:\s*(.+?)\s*$", front[1], re.MULTILINE)
    return match[1].strip("\"'") if match else None


def _snapshot(source: str, revision: str | None) -> tuple[Path, str]:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
    from requests.exceptions import ConnectionError as Unreachable
    from requests.exceptions import Timeout

    try:
        info = HfApi().model_info(source, revision=revision)
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise PackageError(f"cannot get {source} ({reason}); check id, revision and token") from None
    except (Unreachable, Timeout, OfflineModeIsEnabled):
        try:
            folder = Path(snapshot_download(source, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            raise PackageError(
                f"{source} is no folder and not cached, and the Hub cannot be reached; check the network"
            ) from None
        return folder, folder.name
    files = [sibling.rfilename for sibling in info.siblings or ()]
    folder = Path(snapshot_download(source, revision=info.sha, allow_patterns=wanted(files)))
    return folder, str(info.sha)
