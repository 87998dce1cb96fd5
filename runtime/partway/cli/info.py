"""``partway info``: what a model folder or file, or a LoRA, holds."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from partway.adapters.changes import family, text_width
from partway.adapters.reading import Adapter, is_adapter, open_adapter
from partway.adapters.suggestions import suggested
from partway.checkpoints.parts import Weights
from partway.checkpoints.record import Checkpoint
from partway.cli.arguments import Commands, add_prediction, supplied
from partway.graphs import FORMATS
from partway.model.opening import open_model
from partway.model.package import Package

_SHALLOW = "shallow"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("info", help="what a model folder or file holds", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a folder, a file, or a Hub id (owner/name)")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub id")
    parser.add_argument("--vae", metavar="FILE", help="with the VAE, or the tiny one, of this file")
    add_prediction(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the description of a model, or of a LoRA; no network is loaded."""
    path = Path(options.model)
    if is_adapter(path):
        for name, value in _about(open_adapter(path)).items():
            print(f"{name:<12} {value}")
        return 0
    told = {"vae": options.vae, **supplied(options, ("prediction",))}
    package = open_model(options.model, revision=options.revision, **told)
    for name, value in _facts(package).items():
        print(f"{name:<12} {value}")
    files = {name: file for name, file in package.networks.items() if isinstance(file, Path)}
    sizes = {name: (_size(file), os.path.relpath(file, package.root)) for name, file in files.items()}
    if package.checkpoint is not None:
        sizes = {name: _stored(part.weights) for name, part in package.checkpoint.parts.items()}
    for network, (size, where) in sizes.items():
        print(f"{network:<12} {_megabytes(size):>10}  {where}")
    print(f"{'in all':<12} {_megabytes(sum(size for size, _ in sizes.values())):>10}")
    return 0


def _about(adapter: Adapter) -> dict[str, object]:
    """What an adapter is, what it goes with, and what it needs."""
    width, told = text_width(adapter), adapter.metadata
    ranks = sorted({module.rank for module in adapter.modules.values() if module.rank})
    trigger = told.get("modelspec.trigger_phrase")
    needs = ", ".join(f"{name} {value}" for name, value in suggested(adapter).items())
    kinds = ", ".join(f"{name} ({count} layers)" for name, count in adapter.kinds.items())
    facts = {
        "file": adapter.path,
        "taken for": kinds,
        "goes with": family(width) if width else "any model with such layers",
        "rank": ", ".join(map(str, ranks)) or None,
        "title": told.get("modelspec.title") or told.get("ss_output_name"),
        "say": trigger,
        "embeddings": ", ".join(adapter.embeddings) or None,
        "needs": needs or None,
        "in all": _megabytes(adapter.source.size),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _suited(package: Package) -> str:
    return "".join(f", {name} {value}" for name, value in package.defaults.items())


def _facts(package: Package) -> dict[str, object]:
    manifest: Mapping[str, Any] = package.manifest
    unstated = "not stated (the folder has no partway.json)" if not manifest else "not stated"
    width, height = package.size
    source = manifest.get("source") or unstated
    revision = manifest.get("revision")
    return {
        "file" if package.root.is_file() else "folder": package.root,
        **_taken_for(package.checkpoint),
        "family": package.family,
        "format": FORMATS[package.format],
        **({} if package.checkpoint else {"weights": manifest.get("weights") or unstated}),
        **_calibrated(manifest.get("calibration")),
        "size": f"{width}x{height}; pictures are padded to a multiple of {package.multiple}",
        "predicts": package.prediction,
        "starts with": f"{package.sampler} sampler, {package.schedule} schedule{_suited(package)}",
        "source": f"{source} at {revision}" if revision else source,
        "licence": manifest.get("licence") or unstated,
    }


def _taken_for(checkpoint: Checkpoint | None) -> dict[str, object]:
    """What a model that is not exported was taken for, why, and what of its file has no use."""
    if checkpoint is None:
        return {}
    idle, some = checkpoint.idle, ", ".join(checkpoint.idle[:2])
    left = f"{len(idle)} tensors: {some}{', ...' if len(idle) > 2 else ''}" if idle else "nothing"
    return {"taken for": checkpoint.title, "because": "; ".join(checkpoint.reasons), "not used": left}


def _stored(weights: Weights) -> tuple[int, str]:
    """How many bytes weights take in their files, and in which types."""
    types = sorted({weight.dtype for weight in weights.values()})
    return sum(weight.length for weight in weights.values()), f"{len(weights)} tensors of {', '.join(types)}"


def _calibrated(facts: Any) -> dict[str, object]:
    """What the ranges of 8-bit activations were taken from, where they were."""
    if not isinstance(facts, dict):
        return {}
    seen = [f"{len(facts.get(name, []))} {name}" for name in ("pictures", "prompts", "strengths")]
    return {"calibrated": f"on {', '.join(seen)}: {facts.get('samples')} samples of {facts.get('calls')} calls"}


def _size(file: Path) -> int:
    """Return the bytes of a network: its graph and whatever lies beside it as weights, but for another's graph."""
    beside = (part for part in file.parent.iterdir() if part.suffix != ".json" and part.is_file())
    return sum(part.stat().st_size for part in beside if (part.stem == _SHALLOW) == (file.stem == _SHALLOW))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
