"""InstructPix2Pix against diffusers' pipeline: same weights, seed, picture and instruction, at least 50 dB."""

import numpy as np
import pytest

from likeness import assert_same, source

INSTRUCTION, NEGATIVE = "make it a warm sunset, wooden chair", "dark photo"
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
}


CASES = [
    *((sampler, (42,), {"guidance_scale": 7.5, "image_guidance_scale": 1.5}) for sampler in CLASSES),
    ("euler_a", (7, 8), {"guidance_scale": 5.0, "image_guidance_scale": 1.0}),
    ("euler", (42,), {"guidance_scale": 1.0, "image_guidance_scale": 1.5}),
]


@pytest.mark.parametrize(("form", "engine"), [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")])
@pytest.mark.parametrize(("sampler", "seeds", "scales"), CASES)
def test_same_picture_as_diffusers(ours, diffusers_run, form, engine, sampler, seeds, scales):
    cls, flags = CLASSES[sampler]
    expected = diffusers_run(
        "StableDiffusionInstructPix2PixPipeline", "sd1-instruct", (cls, {**flags, "timestep_spacing": "trailing"}),
        seeds=seeds, prompt=INSTRUCTION, image=source(), negative_prompt=NEGATIVE, num_inference_steps=10, **scales,
    )  # fmt: skip
    made = ours("sd1-instruct", form, engine=engine).instruct(
        source(), INSTRUCTION, negative_prompt=NEGATIVE, seed=seeds, steps=10, sampler=sampler, schedule="trailing",
        **scales,
    )  # fmt: skip
    assert_same(made.images, expected)


def test_picture_and_both_scales_count(ours):
    pipe = ours("sd1-instruct")

    def made(**settings):
        return np.asarray(pipe.instruct(source(), INSTRUCTION, steps=5, **settings).image, float)

    plain = made()
    for other in (made(image_guidance_scale=3.0), made(guidance_scale=3.0)):
        assert np.abs(plain - other).mean() > 1
    flipped = pipe.instruct(source().rotate(180), INSTRUCTION, steps=5).image
    assert np.abs(plain - np.asarray(flipped, float)).mean() > 1
