"""The kind of a model, from its UNet's configuration and what its file says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partway.checkpoints.configs import Config
from partway.checkpoints.parts import Weights
from partway.errors import PackageError

_TASKS = {4: "", 9: "inpainting", 8: "InstructPix2Pix"}
_OTHERS = {5: "a depth-to-image model", 7: "an upscaler (x4)"}


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    title      what people call it
    pipeline   diffusers' class for it
    xl         whether it is one of SDXL's kinds; second: of Stable Diffusion 2's
    text_encoders  those that it has
    side       pixels of the squares that it was trained on
    vae_scale  what latents are multiplied by
    reasons    how that was seen
    """

    title: str
    pipeline: str
    xl: bool
    second: bool
    text_encoders: tuple[str, ...]
    side: int
    vae_scale: float
    reasons: tuple[str, ...]


def kind_of(weights: Weights, unet: Config, projected: int | None) -> Kind:
    """The kind of the model with this UNet, whose second text encoder says ``projected`` numbers of a whole prompt.

    Raises `PackageError` naming a kind that does not run.
    """
    channels, context = unet["in_channels"], unet["cross_attention_dim"]
    if channels in _OTHERS:
        raise PackageError(f"it is {_OTHERS[channels]} ({channels} input channels), which partway does not run")
    if channels not in _TASKS:
        raise PackageError(f"its UNet has {channels} input channels, and partway runs those of 4, 8 and 9")
    task = _TASKS[channels]
    reasons = [f"text of width {context}", *([f"{channels} input channels: {task}"] if task else [])]
    if "addition_embed_type" in unet:
        return _xl(weights, unet, projected, task, reasons)
    second = bool(unet["use_linear_projection"])
    title = f"Stable Diffusion {2 if second else 1}.x"
    reasons += ["projections are linear layers" if second else "projections are convolutions of 1x1"]
    name = {"": "", "inpainting": "Inpaint", "InstructPix2Pix": "InstructPix2Pix"}[task]
    pipeline = f"StableDiffusion{name}Pipeline"
    if "time_cond_proj_dim" in unet:
        title, pipeline = f"{title}, LCM", "LatentConsistencyModelPipeline"
        reasons.append("it takes the guidance scale")
    return Kind(f"{title} {task}".strip(), pipeline, False, second, ("text_encoder",), 512, 0.18215, tuple(reasons))


def _xl(weights: Weights, unet: Config, projected: int | None, task: str, reasons: list[str]) -> Kind:
    taken = unet["projection_class_embeddings_input_dim"]
    sizes = (taken - (projected or 1280)) / unet["addition_time_embed_dim"]
    if sizes not in (5, 6):
        raise PackageError(
            f"its UNet is told {taken} numbers beside the text, as no kind is that partway runs (unCLIP?)"
        )
    if task == "InstructPix2Pix":
        raise PackageError("it is an SDXL model for instructions (InstructPix2Pix), which partway does not run")
    refiner = sizes == 5
    reasons.append(f"{int(sizes)} sizes are told{', the last an aesthetic score' if refiner else ''}")
    title, class_ = ("SDXL refiner", "XLImg2Img") if refiner else ("SDXL", "XLInpaint" if task else "XL")
    if unet["mid_block_type"] != "UNetMidBlock2DCrossAttn":
        deep = "up_blocks.1.attentions.0.transformer_blocks.1.norm1.weight" in weights
        title = "SSD-1B (SDXL, distilled)" if deep else "Segmind Vega (SDXL, distilled)"
        reasons.append("the middle has no attention")
    if "time_cond_proj_dim" in unet:
        title += ", LCM"
        reasons.append("it takes the guidance scale")
    encoders = ("text_encoder_2",) if refiner else ("text_encoder", "text_encoder_2")
    pipeline = f"StableDiffusion{class_}Pipeline"
    return Kind(f"{title} {task}".strip(), pipeline, True, False, encoders, 1024, 0.13025, tuple(reasons))


def turbo(metadata: Mapping[str, str], name: str) -> str | None:
    """How it shows that an SDXL or 2.x model is distilled to a few steps without guidance; None if it does not."""
    architecture = metadata.get("modelspec.architecture", "")
    if "turbo" in architecture:
        return f"its metadata say {architecture}"
    return f"its file is called {name}" if "turbo" in name.lower() else None


def resolution(metadata: Mapping[str, str]) -> int | None:
    """The side in pixels that a file says its model was trained on, if it does."""
    sides = metadata.get("modelspec.resolution", "").lower().split("x")
    known = all(side.isdecimal() for side in sides) and 64 <= int(sides[0]) <= 4096
    return int(sides[0]) if known else None


def index(kind: Kind) -> dict[str, Any]:
    """What diffusers writes into ``model_index.json`` of such a model."""
    if not kind.xl:
        return {"_class_name": kind.pipeline}
    refiner = "text_encoder" not in kind.text_encoders
    absent = {name: [None, None] for name in ("text_encoder", "tokenizer") if refiner}
    more = {"requires_aesthetics_score": refiner, "force_zeros_for_empty_prompt": not refiner}
    return {"_class_name": kind.pipeline, **absent, **more}
