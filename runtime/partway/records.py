"""The record of how one picture was made, which `partway.pictures.metadata` keeps inside its file."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import partway
from partway.controls import Control, IPAdapter, image_prompt
from partway.engines import ENGINES
from partway.loras import Lora
from partway.model.hashes import file_sha256, model_hash, path_sha256, tensors_sha256, unet_hash
from partway.model.hub import DEFAULT
from partway.model.package import Package
from partway.pictures.images import Picture, read
from partway.pictures.metadata import file_hash, pixel_hash
from partway.support import machine

MACHINE = ("threads", "cache_dir", "cache_limit", "memory_limit", "release", "stream")
"""Arguments of `partway.load` that belong to the machine, not to the picture: no record has them, or sets them."""

_LIBRARIES = {"numpy": "numpy", "PIL": "pillow", "tokenizers": "tokenizers"}  # what pip calls what Python imports
_PLAN = ("start_sigma", "start_timestep", "steps_run", "network_calls")


class Wanted(Protocol):
    """What was asked for: of a model, loaded with ``load``, pictures of a prompt, by a task with its own ``edit``."""

    @property
    def model(self) -> str | None:
        """The folder, file, Hub id or name; None for the built-in."""
        ...

    @property
    def load(self) -> Mapping[str, Any]:
        """Arguments of `partway.load`."""
        ...

    @property
    def prompt(self) -> str:
        """The prompt."""
        ...

    @property
    def edit(self) -> Mapping[str, Any]:
        """The task's own arguments."""
        ...


def record(
    result: partway.Result, wanted: Wanted, package: Package, *, task: str, source: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON-ready record of the first picture of ``result``: enough to make the same picture again.

    task: the command, "img2img" and the like. source: see `source_hashes`. What belongs to the machine stays out of it,
    and the name of the home folder.
    """
    plan, image = result.plan, result.image
    # The sampler and schedule that ran, not "the model's own": another version of the model may suggest others.
    ran = {"seed": result.seeds[0], "sampler": plan.sampler, "schedule": plan.schedule}
    ran |= {"embeddings": [[name, Path(file).name] for name, file in result.settings.inversions]}
    ran |= {"loras": [{**one.as_dict(), "file": Path(one.file).name} for one in result.settings.adapters]}
    controls, prompts = _guides(result.settings)
    ran |= {"control": [_replayed(one, source) for one in controls]}
    ran |= {"ip_adapter": _replayed(prompts[0], source) if prompts else None}
    return {
        "partway": partway.__version__,
        "task": task,
        "prompt": wanted.prompt,
        "settings": asdict(result.settings) | ran,
        "width": image.width,
        "height": image.height,
        "model": {"name": _place(wanted.model, package), **described(package)},
        **files_of(result.settings),
        "load": load_of(wanted),
        "plan": {name: getattr(plan, name) for name in _PLAN},
        "source": source,
        "edit": dict(wanted.edit),
        "versions": dict(_versions(_imported())),
    }


def files_of(settings: partway.Settings) -> dict[str, Any]:
    """Return the names and hashes of the files that settings name."""
    controls, prompts = _guides(settings)
    return {
        "loras": [_named(one) for one in settings.adapters],
        "controls": [*map(_shown_to, controls), *map(_shown_to, prompts)],
        "embeddings": [{"name": name, "sha256": file_sha256(Path(file))} for name, file in settings.inversions],
    }


def load_of(wanted: Wanted) -> dict[str, Any]:
    """Return the arguments of `partway.load` that belong to the picture."""
    return {name: _shown(name, value) for name, value in wanted.load.items() if name not in MACHINE}


def described(package: Package) -> dict[str, Any]:
    """Return where a model comes from, None where nothing says so, and hashes of its UNet and of all its files."""
    told = {name: package.manifest.get(name) for name in ("source", "revision")}
    return told | {"unet_sha256": unet_hash(package), "sha256": model_hash(package)}


def source_hashes(path: Path, picture: Picture) -> dict[str, str]:
    """Return the SHA-256 of a source picture's file and of its upright pixels."""
    return {"file_sha256": file_hash(path), "pixels_sha256": pixel_hash(picture.original)}


def _guides(settings: partway.Settings) -> tuple[list[Control], list[IPAdapter]]:
    """Return the pictures that guide a run and count, and the one that is a part of its prompt, if any."""
    prompt = image_prompt(settings.ip_adapter)
    counts = prompt is not None and prompt.scale
    return [one for one in settings.controls if one.scale], [prompt] if prompt is not None and counts else []


def _named(lora: Lora) -> dict[str, str]:
    """Return an adapter's name, the hash of its file, and that of its tensors alone, by which others know it."""
    path = Path(lora.file)
    return {"name": lora.name, "tag": lora.tag, "sha256": file_sha256(path), "tensors_sha256": tensors_sha256(path)}


def _replayed(control: Control | IPAdapter, source: Mapping[str, str] | None) -> dict[str, Any]:
    """Return a control as a replay takes it; a picture that is the source itself is told by that."""
    shown = control.as_dict()
    return shown | ({"picture": None} if source and _picture_hash(control) == source["pixels_sha256"] else {})


def _shown_to(control: Control | IPAdapter) -> dict[str, Any]:
    """Return the name and the hash of a control's network, and the hash of its own picture's pixels."""
    path = Path(control.network)
    return {"name": path.name, "sha256": path_sha256(path), "picture_sha256": _picture_hash(control)}


def _picture_hash(control: Control | IPAdapter) -> str | None:
    return None if control.picture is None else pixel_hash(read(control.picture).original)


def _place(model: str | None, package: Package) -> str:
    """Return where a replay finds the model: a name, a Hub id, or a folder, but of a file its name alone."""
    if model is None:
        return DEFAULT
    if package.root.is_file():
        return package.root.name
    home = os.path.expanduser("~").rstrip("/\\")
    return f"~{model[len(home) :]}" if home and model.startswith((f"{home}/", f"{home}\\")) else model


def _shown(name: str, value: Any) -> Any:
    """Return an argument of `partway.load` as a record has it: of another model's VAE the file's name alone."""
    return Path(value).name if name == "vae" else value


@cache
def _versions(libraries: tuple[str, ...]) -> Mapping[str, str]:
    return machine.versions(libraries)


def _imported() -> tuple[str, ...]:
    """Return pip's names of the libraries that are in use."""
    libraries = _LIBRARIES | {row.library: row.distribution for row in ENGINES.values()}
    return tuple(distribution for name, distribution in libraries.items() if name in sys.modules)
