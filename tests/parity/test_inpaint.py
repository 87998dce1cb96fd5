"""Inpainting against diffusers' pipeline, with ordinary UNets and those for it: same weights, seed, prompt and mask.

Masks lie on the grid of latents and pictures on that of the network, where diffusers' rules for resizing do nothing.
With ordinary UNets diffusers starts strength 1 from noise alone; here the known part is there from the first call on,
so that case is left out.
"""

import numpy as np
import pytest

import partway
from likeness import assert_same, mask, source

PROMPT, NEGATIVE, SEED = "a cozy scandinavian living room", "dark photo", 42
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
}


CASES = [
    *(("sd1", sampler, strength) for sampler in CLASSES for strength in (0.5, 0.8)),
    *(("sd1-inpaint", sampler, strength) for sampler in ("ddim", "euler_a") for strength in (0.5, 1.0)),
]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("kind", "sampler", "strength"), CASES)
def test_same_picture_as_diffusers_inside_the_mask(ours, diffusers_run, engine, kind, sampler, strength):
    cls, flags = CLASSES[sampler]
    common = {"strength": strength, "guidance_scale": 5.0, "negative_prompt": NEGATIVE}
    expected = diffusers_run(
        "StableDiffusionInpaintPipeline", kind, (cls, {**flags, "timestep_spacing": "trailing"}), seeds=(SEED,),
        prompt=PROMPT, image=source(), mask_image=mask(), width=96, height=64, num_inference_steps=10, **common,
    )  # fmt: skip
    made = ours(kind, engine=engine).inpaint(
        source(), mask(), PROMPT, steps=10, seed=SEED, sampler=sampler, schedule="trailing", **common
    )
    assert_same(made.images, expected, np.asarray(mask()) > 0)


def test_a_model_for_inpainting_says_what_it_needs(ours):
    pipe = ours("sd1-inpaint")
    for run in (lambda: pipe.img2img(source(), PROMPT), lambda: pipe.txt2img(PROMPT)):
        with pytest.raises(partway.InputError, match="needs a picture and a mask"):
            run()
