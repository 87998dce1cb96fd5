"""Inpainting with an ordinary UNet against diffusers' pipeline: same random weights, seed, prompt and mask.

Masks lie on the grid of latents and pictures on that of the network, where diffusers' rules for resizing do nothing.
diffusers starts strength 1 from noise alone; here the known part is there from the first call on, so it is left out.
"""

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import partway

PROMPT, NEGATIVE, SEED = "a cozy scandinavian living room", "dark photo", 42
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
}


def source(width=96, height=64):
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    mask = np.zeros((height, width), np.uint8)
    mask[16:48, 24:72] = 255
    return Image.fromarray(np.uint8(127.5 + 90 * rgb)), Image.fromarray(mask)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("sampler", CLASSES)
@pytest.mark.parametrize("strength", [0.5, 0.8])
def test_same_picture_as_diffusers_inside_the_mask(models, engine, sampler, strength):
    parts = diffusers.StableDiffusionPipeline.from_pretrained(models("sd1"), safety_checker=None).components
    cls, flags = CLASSES[sampler]
    flags = {**flags, "timestep_spacing": "trailing"}
    parts["scheduler"] = getattr(diffusers, cls).from_config({**parts["scheduler"].config, **flags})
    theirs = diffusers.StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    picture, mask = source()
    expected = theirs(
        PROMPT, image=picture, mask_image=mask, width=picture.width, height=picture.height, strength=strength,
        num_inference_steps=10, guidance_scale=5.0, negative_prompt=NEGATIVE,
        generator=torch.Generator().manual_seed(SEED),
    ).images[0]  # fmt: skip
    pipe = partway.load(models("sd1", "onnx"), engine=engine)
    made = pipe.inpaint(
        picture, mask, PROMPT, strength=strength, steps=10, guidance_scale=5.0, negative_prompt=NEGATIVE, seed=SEED,
        sampler=sampler, schedule="trailing",
    ).image  # fmt: skip
    inside = np.asarray(mask) > 0
    error = np.asarray(made, float)[inside] - np.asarray(expected, float)[inside]
    psnr = 10 * np.log10(255**2 / max(np.mean(error**2), 1e-12))
    assert psnr >= 50, psnr
