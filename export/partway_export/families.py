"""What can be exported: one row per pipeline class."""

from collections.abc import Collection
from typing import NamedTuple


class Family(NamedTuple):
    """The networks of one kind of pipeline, in the order in which their reference outputs feed each other."""

    networks: tuple[str, ...]
    tokenizers: tuple[str, ...] = ("tokenizer",)

    def without(self, absent: Collection[str]) -> "Family":
        """The family of a model that lacks some of its parts, as SDXL's refiner lacks the first text encoder."""
        networks, tokenizers = (tuple(part for part in parts if part not in absent) for parts in self)
        return Family(networks, tokenizers)


STABLE_DIFFUSION = Family(("text_encoder", "vae_encoder", "unet", "vae_decoder"))
STABLE_DIFFUSION_XL = Family(
    ("text_encoder", "text_encoder_2", "vae_encoder", "unet", "vae_decoder"), ("tokenizer", "tokenizer_2")
)

FAMILIES = {
    "StableDiffusionPipeline": STABLE_DIFFUSION,
    "StableDiffusionImg2ImgPipeline": STABLE_DIFFUSION,
    "StableDiffusionInpaintPipeline": STABLE_DIFFUSION,
    "StableDiffusionInstructPix2PixPipeline": STABLE_DIFFUSION,
    "LatentConsistencyModelPipeline": STABLE_DIFFUSION,
    "LatentConsistencyModelImg2ImgPipeline": STABLE_DIFFUSION,
    "StableDiffusionXLPipeline": STABLE_DIFFUSION_XL,
    "StableDiffusionXLImg2ImgPipeline": STABLE_DIFFUSION_XL,
    "StableDiffusionXLInpaintPipeline": STABLE_DIFFUSION_XL,
}

FORMATS = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}

W8A8 = "w8a8"  # as papers on quantisation call it: 8 bits for weights and 8 for activations
INT4 = "int4"
WEIGHTS = ("fp32", "fp16", "int8", INT4, W8A8)
