"""A diffusers folder -> torch modules, one per network, with the settings to trace them by."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from partway.errors import PackageError
from partway_export.families import FAMILIES, Family
from partway_export.guard import one_line


class Traceable(NamedTuple):
    """A torch module whose call is the network to export, and optimum's settings for tracing it."""

    module: Any
    config: Any


def read_index(folder: Path) -> Mapping[str, Any]:
    """Return ``model_index.json`` of a diffusers folder; raise PackageError if there is none to be read."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackageError(
            f"{folder} is not a diffusers folder: it has no model_index.json; convert a single-file "
            "checkpoint with StableDiffusionPipeline.from_single_file and save_pretrained first"
        ) from None
    except (OSError, ValueError) as error:
        raise PackageError(f"{folder}/model_index.json cannot be read ({error}); fetch the model again") from None
    if not isinstance(index, dict):
        raise PackageError(f"{folder}/model_index.json is not a JSON object; fetch the model again")
    return index


def family_of(folder: Path) -> Family:
    """Return the family of a diffusers folder; raise PackageError for a pipeline that cannot be exported."""
    index = read_index(folder)
    name = str(index.get("_class_name"))
    if name not in FAMILIES:
        raise PackageError(f"{folder} holds a {name}, which cannot be exported; known: {', '.join(FAMILIES)}")
    return FAMILIES[name].without([part for part, entry in index.items() if entry == [None, None]])


def load(folder: Path, to: str) -> dict[str, Traceable]:
    """Load the pipeline in ``folder`` as float32 and return its networks by name, ready to trace.

    ``to``: "onnx" or "openvino". Raises PackageError when weights are missing or do not fit their configs.
    """
    import diffusers
    import torch

    index = read_index(folder)
    unused = {
        "safety_checker": None,
        "feature_extractor": None,
        "image_encoder": None,
        "requires_safety_checker": False,
    }
    try:
        pipe = getattr(diffusers, str(index["_class_name"])).from_pretrained(
            folder,
            torch_dtype=torch.float32,
            variant=variant(folder),
            local_files_only=True,
            **{name: value for name, value in unused.items() if name in index},
        )
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise PackageError(f"{folder} cannot be loaded: {one_line(error)}") from error
    return networks(pipe, to)


def networks(pipe: Any, to: str) -> dict[str, Traceable]:
    """Return the networks of a loaded pipeline by name, with the settings to trace them by."""
    from optimum.exporters.utils import get_diffusion_models_for_export

    importlib.import_module(f"optimum.exporters.{to}.model_configs")  # registers the settings with optimum
    # The hidden states cost nothing more to compute, and skipping CLIP layers and SDXL need them.
    for part in ("text_encoder", "text_encoder_2"):
        if (encoder := getattr(pipe, part, None)) is not None:
            encoder.config.output_hidden_states = True
    models = get_diffusion_models_for_export(pipe, int_dtype="int64", float_dtype="fp32", exporter=to)
    return {name: Traceable(module.eval(), config) for name, (module, config) in models.items()}


def variant(folder: Path) -> str | None:
    """Return "fp16" when the UNet's weights are there in no other form than ``*.fp16*``, else None."""
    names = [path.name for path in (folder / "unet").glob("diffusion_pytorch_model*")]
    return "fp16" if names and all(".fp16" in name for name in names) else None


def bytes_on_disk(networks: Mapping[str, Traceable]) -> int:
    """Return the disk space an export takes while it runs: all networks in float32, the largest one twice."""
    sizes = [
        4 * sum(int(parameter.numel()) for parameter in network.module.parameters()) for network in networks.values()
    ]
    return sum(sizes) + max(sizes)
