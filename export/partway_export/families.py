"""What can be exported: one row per pipeline class."""

from typing import NamedTuple


class Family(NamedTuple):
    """The networks of one kind of pipeline, in the order in which their reference outputs feed each other."""

    networks: tuple[str, ...]
    tokenizers: tuple[str, ...] = ("tokenizer",)


STABLE_DIFFUSION = Family(("text_encoder", "vae_encoder", "unet", "vae_decoder"))

FAMILIES = {
    "StableDiffusionPipeline": STABLE_DIFFUSION,
    "StableDiffusionImg2ImgPipeline": STABLE_DIFFUSION,
    "StableDiffusionInpaintPipeline": STABLE_DIFFUSION,
    "StableDiffusionInstructPix2PixPipeline": STABLE_DIFFUSION,
    "LatentConsistencyModelPipeline": STABLE_DIFFUSION,
    "LatentConsistencyModelImg2ImgPipeline": STABLE_DIFFUSION,
}

FORMATS = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}

WEIGHTS = ("fp32", "fp16", "int8")
