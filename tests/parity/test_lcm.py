"""Latent consistency models that take the guidance scale as an input, against diffusers' pipelines: at least 50 dB."""

import diffusers
import numpy as np
import pytest
import torch

from likeness import assert_same, source
from partway.diffusion.guidance import embedding

PROMPT = "a cozy scandinavian living room, warm light"


ENGINES = pytest.mark.parametrize(
    ("form", "engine"), [("onnx", "onnxruntime"), ("onnx", "openvino"), ("openvino", "openvino")]
)


@ENGINES
@pytest.mark.parametrize(
    ("steps", "scale", "seeds"),
    [(4, 8.5, (42,)), pytest.param(8, 1.0, (42,), marks=pytest.mark.thorough), (4, 3.0, (1, 2))],
)
def test_text_to_image(ours, diffusers_run, form, engine, steps, scale, seeds):
    settings = {"guidance_scale": scale, "width": 96, "height": 64}
    expected = diffusers_run(
        "LatentConsistencyModelPipeline", "lcm", seeds=seeds, prompt=PROMPT, num_inference_steps=steps, **settings
    )
    pipe = ours("lcm", form, engine=engine)
    assert_same(pipe.txt2img(PROMPT, steps=steps, seed=seeds, negative_prompt="dark", **settings).images, expected)


@ENGINES
@pytest.mark.parametrize(("strength", "steps"), [(0.8, 4), (0.45, 4), (1.0, 6)])
def test_image_to_image_on_the_lcm_dial(ours, diffusers_run, form, engine, strength, steps):
    settings = {"guidance_scale": 8.5, "strength": strength}
    expected = diffusers_run(
        "LatentConsistencyModelImg2ImgPipeline", "lcm", prompt=PROMPT, image=source(), num_inference_steps=steps,
        **settings,
    )  # fmt: skip
    made = ours("lcm", form, engine=engine).img2img(source(), PROMPT, steps=steps, seed=42, dial="lcm", **settings)
    assert made.plan.steps_run == made.plan.network_calls == steps
    assert_same(made.images, expected)


@ENGINES
def test_the_ordinary_image_to_image_pipeline(ours, diffusers_run, form, engine):
    settings = {"guidance_scale": 8.5, "strength": 0.5}
    expected = diffusers_run(
        "StableDiffusionImg2ImgPipeline", "lcm", seeds=(5, 6), prompt=PROMPT, image=source(), num_inference_steps=8,
        **settings,
    )  # fmt: skip
    pipe = ours("lcm", form, engine=engine, batch=1 if form == "openvino" else None)
    assert_same(pipe.img2img(source(), PROMPT, steps=8, seed=(5, 6), **settings).images, expected)


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.3, 8.5, 15.0])
@pytest.mark.parametrize("width", [16, 17, 256])
def test_embedding_is_diffusers(scale, width):
    pipeline = diffusers.LatentConsistencyModelPipeline
    theirs = pipeline.get_guidance_scale_embedding(None, torch.tensor([scale - 1]), embedding_dim=width).numpy()
    ours = embedding(scale, width)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=3e-3)


def test_guidance_is_one_prediction_and_the_negative_prompt_has_no_effect(ours):
    pipe = ours("lcm")
    plan = pipe.plan(steps=4, strength=1)
    assert (plan.network_calls, plan.guided_calls, plan.calls["text_encoder"]) == (4, 0, 1)

    def made(**settings):
        return pipe.txt2img(PROMPT, width=64, height=64, steps=4, **settings).image.tobytes()

    assert made() == made(negative_prompt="dark photo")
    assert made() != made(guidance_scale=2.0)
