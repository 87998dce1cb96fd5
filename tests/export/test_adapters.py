"""Adapters on exported ONNX packages: the merged model's picture, whatever the precision of the stored weights."""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch

import adapter_files
import partway
import stored
from likeness import assert_same, source

PROMPT = "a cozy scandinavian living room, warm light"
SETTINGS = {"guidance_scale": 5.0, "strength": 0.5}
OURS = {**SETTINGS, "steps": 6, "seed": 7, "sampler": "euler", "schedule": "leading"}
ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture(scope="module")
def adapted(exported, tmp_path_factory):
    """A LoRA's file for a small model, and the model's pipeline in diffusers with that merged at 0.8."""
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
        exported("sd1", "onnx", "fp32").source, safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="leading")
    pipe.set_progress_bar_config(disable=True)
    rng, tensors = np.random.default_rng(0), {}
    for start, network in {"lora_unet": pipe.unet, "lora_te": pipe.text_encoder}.items():
        for name, layer in network.named_modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                weight = layer.weight.detach().numpy().astype(np.float64)
                size = 0.15 * float(weight.std())
                own, delta = adapter_files.lora(rng, weight.shape, size=size)
                tensors |= {f"{start}_{name.replace('.', '_')}.{end}": one for end, one in own.items()}
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(weight + 0.8 * delta(weight)))
    return stored.write(tmp_path_factory.mktemp("lora") / "film.safetensors", tensors), pipe


def made(exported, weights, engine, loras, **settings):
    settings = {**OURS, **settings}
    return opened(exported("sd1", "onnx", weights).folder, engine).img2img(source(), PROMPT, loras=loras, **settings)


@cache
def opened(folder, engine):
    return partway.load(folder, engine=engine)


def decibels(some, others):
    pairs = zip(some, others, strict=True)
    error = np.mean([(np.asarray(one, float) - np.asarray(other, float)) ** 2 for one, other in pairs])
    return 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_package_gives_the_picture_of_the_merged_model(exported, adapted, engine):
    file, pipe = adapted
    generator = torch.Generator().manual_seed(7)
    wanted = pipe(PROMPT, image=source(), num_inference_steps=6, generator=generator, **SETTINGS).images
    plain = made(exported, "fp32", engine, {}).images
    assert decibels(plain, wanted) < 35
    assert_same(made(exported, "fp32", engine, {file: 0.8}).images, wanted)
    assert (np.asarray(made(exported, "fp32", engine, {}).image) == np.asarray(plain[0])).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weights", ["fp16", "int8", "int4"])
def test_smaller_weights_are_no_further_away_than_without(exported, adapted, weights, engine):
    """Of six pictures together, and with a weight like those of trained adapters, a twentieth of the model's own.

    A model that is changed much is another one, which may be more sensitive to the same errors of its weights.
    """
    file, _ = adapted
    seeds = tuple(range(6))
    without, with_it = (
        decibels(*(made(exported, one, engine, loras, seed=seeds).images for one in (weights, "fp32")))
        for loras in ({}, {file: 0.3})
    )
    assert with_it >= without - 1


def test_a_split_package_has_it_in_both_graphs(exported, adapted):
    file, _ = adapted
    package = opened(exported("sd1", "onnx", "int8", split=True).folder, "onnxruntime")
    settings = {**OURS, "steps": 12, "strength": 0.8}
    plain, with_it, whole = (
        package.img2img(source(), PROMPT, loras=loras, reuse=reuse, **settings)
        for loras, reuse in (({}, 0.9), ({file: 0.8}, 0.9), ({file: 0.8}, 0))
    )
    assert with_it.plan.calls["unet_shallow"] > 0
    assert decibels(with_it.images, whole.images) > decibels(with_it.images, plain.images) + 3


def test_openvino_ir_is_refused(exported, adapted):
    pipe = partway.load(exported("sd1", "openvino", "fp32").folder)
    with pytest.raises(partway.InputError, match="OpenVINO IR"):
        pipe.img2img(source(), PROMPT, loras={adapted[0]: 0.8})
