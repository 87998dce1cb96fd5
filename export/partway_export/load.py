"""A diffusers folder -> torch modules, one per network, with the settings to trace them by."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from partway.errors import PackageError

from partway_export.families import FAMILIES, Family


class Traceable(NamedTuple):
    """A torch module whose call is the network to export, and optimum's settings for tracing it."""

    module: Any
    config: Any


def read_index(folder: Path) -> Mapping[str, Any]:
    """Return ``model_index.json`` of a diffusers folder; raise PackageError if there is none that can be read."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackageError(
            f"{folder} is not a diffusers folder: it has no model_index.json; a single-file checkpoint must be "
            "converted first (StableDiffusionPipeline.from_single_file, then save_pretrained)"
        ) from None
    except (OSError, ValueError) as error:
        raise PackageError(f"{folder}/model_index.json cannot be read: {error}") from None
    if not isinstance(index, dict):
        raise PackageError(f"{folder}/model_index.json is not a JSON object; fetch the model again")
    return index


def family_of(folder: Path) -> Family:
    """Return the family of a diffusers folder; raise PackageError for a pipeline that cannot be exported."""
    name = str(read_index(folder).get("_class_name"))
    if name not in FAMILIES:
        raise PackageError(f"{folder} holds a {name}, which cannot be exported; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def load(folder: Path, to: str) -> dict[str, Traceable]:
    """Load the pipeline in ``folder`` as float32 and return its networks by name, ready to trace.

    ``to``: "onnx" or "openvino". Raises PackageError when the weights are missing or do not fit their configs.
    """
    import torch
    from diffusers import StableDiffusionPipeline

    half = not any((folder / "unet").glob("diffusion_pytorch_model*[!6].safetensors"))
    variant = "fp16" if half and any((folder / "unet").glob("*.fp16*.safetensors")) else None
    try:
        pipe = StableDiffusionPipeline.from_pretrained(
            folder,
            torch_dtype=torch.float32,
            variant=variant,
            local_files_only=True,
            safety_checker=None,
            feature_extractor=None,
            image_encoder=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise PackageError(f"{folder} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    return networks(pipe, to)


def networks(pipe: Any, to: str) -> dict[str, Traceable]:
    """Return the networks of a loaded pipeline by name, with the tracing settings of this project."""
    importlib.import_module(f"optimum.exporters.{to}.model_configs")  # registers the settings with optimum
    from optimum.exporters.utils import get_diffusion_models_for_export

    # All hidden states as outputs cost nothing to compute and are what skipping CLIP layers needs.
    pipe.text_encoder.config.output_hidden_states = True
    # pipe.text_encoder.text_model.config.output_hidden_states = True
    models = get_diffusion_models_for_export(pipe, int_dtype="int64", float_dtype="fp32", exporter=to)
    return {name: Traceable(module.eval(), config) for name, (module, config) in models.items()}
