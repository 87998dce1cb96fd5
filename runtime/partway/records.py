"""The record of how one picture was made, which `partway.pictures.metadata` keeps inside its file."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import partway
from partway.engines import ENGINES
from partway.graphs import FILES, WEIGHTS
from partway.model.hashes import model_hash
from partway.model.package import Package
from partway.pictures.images import Picture
from partway.pictures.metadata import file_hash, pixel_hash
from partway.support import machine

_LIBRARIES = {"numpy": "numpy", "PIL": "pillow", "tokenizers": "tokenizers"}  # what pip calls what Python imports


def record(
    result: partway.Result,
    index: int,
    *,
    task: str,
    prompt: str,
    model: str,
    package: Package,
    load: Mapping[str, Any],
    source: Mapping[str, str] | None = None,
    edit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the JSON-ready record of picture ``index`` of ``result``: enough to make the same picture again.

    task: the command, "img2img" and the like; edit: its own arguments. model: the folder or Hub id it was loaded
    from, or a file, of which the name and a hash are kept; package: what it holds. load: the arguments of
    `partway.load` that may change the numbers.
    source: see `source_hashes`.
    """
    plan, image, manifest = result.plan, result.images[index], package.manifest
    one_file = package.root.is_file()
    # The sampler and schedule that ran, not "the model's own": another version of the model may suggest others.
    settings = asdict(result.settings) | {
        "seed": result.seeds[index],
        "sampler": plan.sampler,
        "schedule": plan.schedule,
    }
    return {
        "partway": partway.__version__,
        "task": task,
        "prompt": prompt,
        "settings": settings,
        "width": image.width,
        "height": image.height,
        "model": {
            "name": package.root.name if one_file else model,
            "source": manifest.get("source"),
            "revision": manifest.get("revision"),
            "unet_sha256": _unet_hash(manifest),
            **({"sha256": model_hash(package.root)} if one_file else {}),
        },
        "load": {**load, **({"vae": Path(load["vae"]).name} if "vae" in load else {})},
        "plan": {
            "start_sigma": plan.start_sigma,
            "start_timestep": plan.start_timestep,
            "steps_run": plan.steps_run,
            "network_calls": plan.network_calls,
        },
        "source": source,
        "edit": dict(edit or {}),
        "versions": dict(_versions(_imported())),
    }


def source_hashes(path: Path, picture: Picture) -> dict[str, str]:
    """Return the SHA-256 of a source picture's file and of its upright pixels."""
    return {"file_sha256": file_hash(path), "pixels_sha256": pixel_hash(picture.original)}


def _unet_hash(manifest: Mapping[str, Any]) -> str | None:
    """Return the checksum of the UNet's weights; None for models that partway did not export."""
    files = manifest.get("files", {})
    for name in (WEIGHTS["onnx"], FILES["onnx"], WEIGHTS["openvino"]):
        if f"unet/{name}" in files:
            return str(files[f"unet/{name}"]["sha256"])
    return None


@cache
def _versions(libraries: tuple[str, ...]) -> Mapping[str, str]:
    return machine.versions(libraries)


def _imported() -> tuple[str, ...]:
    """Return pip's names of the libraries that are in use."""
    libraries = _LIBRARIES | {row.library: row.distribution for row in ENGINES.values()}
    return tuple(distribution for name, distribution in libraries.items() if name in sys.modules)
