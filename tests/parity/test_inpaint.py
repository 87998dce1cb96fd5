"""Inpainting against diffusers' pipeline, with ordinary UNets and those for it: same weights, seed, prompt and mask.

Masks lie on the grid of latents and pictures on that of the network, where diffusers' rules for resizing do nothing.
With ordinary UNets diffusers starts strength 1 from noise alone; here the known part is there from the first call on,
so that case is left out.
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


CASES = [
    *(("sd1", sampler, strength) for sampler in CLASSES for strength in (0.5, 0.8)),
    *(("sd1-inpaint", sampler, strength) for sampler in ("ddim", "euler_a") for strength in (0.5, 1.0)),
]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("kind", "sampler", "strength"), CASES)
def test_same_picture_as_diffusers_inside_the_mask(models, engine, kind, sampler, strength):
    cls = diffusers.StableDiffusionInpaintPipeline if kind == "sd1-inpaint" else diffusers.StableDiffusionPipeline
    parts = cls.from_pretrained(models(kind), safety_checker=None).components
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
    pipe = partway.load(models(kind, "onnx"), engine=engine)
    made = pipe.inpaint(
        picture, mask, PROMPT, strength=strength, steps=10, guidance_scale=5.0, negative_prompt=NEGATIVE, seed=SEED,
        sampler=sampler, schedule="trailing",
    ).image  # fmt: skip
    inside = np.asarray(mask) > 0
    error = np.asarray(made, float)[inside] - np.asarray(expected, float)[inside]
    psnr = 10 * np.log10(255**2 / max(np.mean(error**2), 1e-12))
    assert psnr >= 50, psnr


def test_a_model_for_inpainting_says_what_it_needs(models):
    pipe = partway.load(models("sd1-inpaint", "onnx"))
    picture, _ = source()
    for run in (lambda: pipe.img2img(picture, PROMPT), lambda: pipe.txt2img(PROMPT)):
        with pytest.raises(partway.InputError, match="needs a picture and a mask"):
            run()
