"""Latent consistency models that take the guidance scale as an input, against diffusers' pipelines: at least 50 dB."""

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import partway
from partway.diffusion.guidance import embedding

PROMPT = "a cozy scandinavian living room, warm light"


def source(width=96, height=64):
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 90 * rgb))


@pytest.fixture(scope="module")
def diffusers_run(models):
    parts = diffusers.LatentConsistencyModelPipeline.from_pretrained(models("lcm"), safety_checker=None).components

    def run(cls, seeds, **settings):
        pipe = getattr(diffusers, cls)(**parts, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        generator = [torch.Generator().manual_seed(seed) for seed in seeds]
        return [np.asarray(i, float) for i in pipe([PROMPT] * len(seeds), generator=generator, **settings).images]

    return run


def assert_same(result, expected):
    for one, other in zip(result.images, expected, strict=True):
        assert other.std() > 10, "the reference picture is flat and proves nothing"
        assert 10 * np.log10(255**2 / max(np.mean((np.asarray(one, float) - other) ** 2), 1e-12)) >= 50


ENGINES = pytest.mark.parametrize(
    ("form", "engine"), [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")]
)


@ENGINES
@pytest.mark.parametrize(("steps", "scale", "seeds"), [(4, 8.5, (42,)), (8, 1.0, (42,)), (4, 3.0, (1, 2))])
def test_text_to_image(models, diffusers_run, form, engine, steps, scale, seeds):
    settings = {"guidance_scale": scale, "width": 96, "height": 64}
    expected = diffusers_run("LatentConsistencyModelPipeline", seeds, num_inference_steps=steps, **settings)
    pipe = partway.load(models("lcm", form), engine=engine)
    assert_same(pipe.txt2img(PROMPT, steps=steps, seed=seeds, negative_prompt="dark", **settings), expected)


@ENGINES
@pytest.mark.parametrize(("strength", "steps"), [(0.8, 4), (0.45, 4), (1.0, 6)])
def test_image_to_image_on_the_lcm_dial(models, diffusers_run, form, engine, strength, steps):
    settings = {"guidance_scale": 8.5, "strength": strength}
    expected = diffusers_run(
        "LatentConsistencyModelImg2ImgPipeline", (42,), image=source(), num_inference_steps=steps, **settings
    )
    pipe = partway.load(models("lcm", form), engine=engine)
    made = pipe.img2img(source(), PROMPT, steps=steps, seed=42, dial="lcm", **settings)
    assert made.plan.steps_run == made.plan.network_calls == steps
    assert_same(made, expected)


@ENGINES
def test_the_ordinary_image_to_image_pipeline(models, diffusers_run, form, engine):
    settings = {"guidance_scale": 8.5, "strength": 0.5}
    pictures = [source()] * 2
    expected = diffusers_run(
        "StableDiffusionImg2ImgPipeline", (5, 6), image=pictures, num_inference_steps=8, **settings
    )
    pipe = partway.load(models("lcm", form), engine=engine, batch=1 if form == "openvino" else None)
    assert_same(pipe.img2img(source(), PROMPT, steps=8, seed=(5, 6), **settings), expected)


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.3, 8.5, 15.0])
@pytest.mark.parametrize("width", [16, 17, 256])
def test_embedding_is_diffusers(scale, width):
    pipeline = diffusers.LatentConsistencyModelPipeline
    theirs = pipeline.get_guidance_scale_embedding(None, torch.tensor([scale - 1]), embedding_dim=width).numpy()
    ours = embedding(scale, width)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=3e-3)


def test_guidance_is_one_prediction_and_the_negative_prompt_has_no_effect(models):
    pipe = partway.load(models("lcm", "onnx"))
    plan = pipe.plan(steps=4, strength=1)
    assert (plan.network_calls, plan.guided_calls, plan.calls["text_encoder"]) == (4, 0, 1)

    def made(**settings):
        return pipe.txt2img(PROMPT, width=64, height=64, steps=4, **settings).image.tobytes()

    assert made() == made(negative_prompt="dark photo")
    assert made() != made(guidance_scale=2.0)
