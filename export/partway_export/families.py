"""What can be exported, and as what."""

FAMILIES = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
)
"""diffusers' pipeline classes."""

FORMATS = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}

W8A8 = "w8a8"  # as papers on quantisation call it: 8 bits for weights and 8 for activations
INT4 = "int4"
WEIGHTS = ("fp32", "fp16", "int8", INT4, W8A8)
