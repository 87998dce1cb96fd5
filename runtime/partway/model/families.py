"""Pipeline classes: diffusers' own, and what optimum and older exporters call the same with ONNX or OpenVINO."""

from collections.abc import Mapping
from typing import Any

from partway.errors import PackageError
from partway.graphs import NETWORKS, TOKENIZERS

_XL = ("StableDiffusionXLPipeline", "StableDiffusionXLImg2Img", "StableDiffusionXLInpaint")
_FAMILIES = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2Img",
    "StableDiffusionInpaint",
    "StableDiffusionInstructPix2Pix",
    "LatentConsistencyModel",
    *_XL,
)


def runs(family: str) -> bool:
    """Whether partway runs the models of a pipeline class, be it diffusers', optimum's for ONNX, or for OpenVINO."""
    return plain(family).startswith(_FAMILIES)


def check(where: object, index: Mapping[str, Any]) -> None:
    """Raise `PackageError` for a ``model_index.json`` of a class that does not run."""
    family = str(index.get("_class_name", "unknown"))
    if not runs(family):
        raise PackageError(f"{where} holds a {family}; partway runs Stable Diffusion 1.x, 2.x and XL pipelines")


def plain(family: str) -> str:
    """diffusers' name of a pipeline class, which had two with ONNX itself."""
    return family.removeprefix("ORT").removeprefix("OV").replace("Onnx", "")


def is_xl(index: Mapping[str, Any]) -> bool:
    """Whether an index is that of an SDXL."""
    return plain(str(index.get("_class_name"))).startswith(_XL)


def needed(index: Mapping[str, Any]) -> list[str]:
    """The networks that a model has: SDXL has two text encoders, but the index of its refiner lists no first one."""
    absent = [name for name in TOKENIZERS if index.get(name) == [None, None]] if is_xl(index) else ["text_encoder_2"]
    return [name for name in NETWORKS if name not in absent]
