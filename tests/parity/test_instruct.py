"""InstructPix2Pix against diffusers' pipeline: same weights, seed, picture and instruction, at least 50 dB."""

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import partway

INSTRUCTION, NEGATIVE = "make it a warm sunset, wooden chair", "dark photo"
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
}


def source(width=96, height=64):
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 90 * rgb))


@pytest.fixture(scope="module")
def diffusers_run(models):
    parts = diffusers.StableDiffusionInstructPix2PixPipeline.from_pretrained(
        models("sd1-instruct"), safety_checker=None
    ).components

    def run(sampler, seeds, **settings):
        cls, flags = CLASSES[sampler]
        scheduler = getattr(diffusers, cls).from_config(
            {**parts["scheduler"].config, **flags, "timestep_spacing": "trailing"}
        )
        pipe = diffusers.StableDiffusionInstructPix2PixPipeline(
            **{**parts, "scheduler": scheduler}, requires_safety_checker=False
        )
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            [INSTRUCTION] * len(seeds), image=[source()] * len(seeds), negative_prompt=[NEGATIVE] * len(seeds),
            num_inference_steps=10, generator=[torch.Generator().manual_seed(seed) for seed in seeds], **settings,
        )  # fmt: skip
        return [np.asarray(image, float) for image in made.images]

    return run


CASES = [
    *((sampler, (42,), {"guidance_scale": 7.5, "image_guidance_scale": 1.5}) for sampler in CLASSES),
    ("euler_a", (7, 8), {"guidance_scale": 5.0, "image_guidance_scale": 1.0}),
    ("euler", (42,), {"guidance_scale": 1.0, "image_guidance_scale": 1.5}),
]


@pytest.mark.parametrize(("form", "engine"), [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")])
@pytest.mark.parametrize(("sampler", "seeds", "scales"), CASES)
def test_same_picture_as_diffusers(models, diffusers_run, form, engine, sampler, seeds, scales):
    expected = diffusers_run(sampler, seeds, **scales)
    pipe = partway.load(models("sd1-instruct", form), engine=engine)
    made = pipe.instruct(
        source(), INSTRUCTION, negative_prompt=NEGATIVE, seed=seeds, steps=10, sampler=sampler, schedule="trailing",
        **scales,
    )  # fmt: skip
    for one, other in zip(made.images, expected, strict=True):
        assert other.std() > 10, "the reference picture is flat and proves nothing"
        assert 10 * np.log10(255**2 / max(np.mean((np.asarray(one, float) - other) ** 2), 1e-12)) >= 50


def test_picture_and_both_scales_count(models):
    pipe = partway.load(models("sd1-instruct", "onnx"))

    def made(**settings):
        return np.asarray(pipe.instruct(source(), INSTRUCTION, steps=5, **settings).image, float)

    plain = made()
    for other in (made(image_guidance_scale=3.0), made(guidance_scale=3.0)):
        assert np.abs(plain - other).mean() > 1
    flipped = pipe.instruct(source().rotate(180), INSTRUCTION, steps=5).image
    assert np.abs(plain - np.asarray(flipped, float)).mean() > 1
