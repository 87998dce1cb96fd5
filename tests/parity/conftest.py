"""What is compared: diffusers' pipelines and ours on the same small models, each loaded and each run once."""

import pickle
from functools import cache

import diffusers
import numpy as np
import pytest
import torch

import partway


@pytest.fixture(scope="session")
def diffusers_run(tiny_model):
    """``run(cls, kind, scheduler=None, seeds=(42,), **settings)``: what diffusers' pipeline makes of a small model.

    ``scheduler`` is a class of diffusers and its flags, or None for the model's own; ``options`` are the pipeline's.
    Prompts and picture are repeated for each seed. Pictures come as arrays, latents as a tensor.
    """

    @cache
    def components(kind):
        parts = diffusers.DiffusionPipeline.from_pretrained(tiny_model(kind)).components
        if "text_encoder_2" in parts:
            return {name: part for name, part in parts.items() if name not in ("image_encoder", "feature_extractor")}
        return parts | {"requires_safety_checker": False}

    def run(cls, kind, scheduler, seeds, options, settings):
        parts = dict(components(kind))
        if scheduler is not None:
            name, flags = scheduler
            parts["scheduler"] = getattr(diffusers, name).from_config({**parts["scheduler"].config, **flags})
        pipe = getattr(diffusers, cls)(**parts, **options)
        pipe.set_progress_bar_config(disable=True)
        for name in ("prompt", "negative_prompt", "image"):
            if settings.get(name) is not None and not isinstance(settings[name], torch.Tensor):
                settings[name] = [settings[name]] * len(seeds)
        images = pipe(**settings, generator=[torch.Generator().manual_seed(seed) for seed in seeds]).images
        return images if isinstance(images, torch.Tensor) else [np.asarray(image) for image in images]

    known = {}

    def run_once(cls, kind, scheduler=None, *, seeds=(42,), options=None, **settings):
        given = (cls, kind, scheduler, seeds, options or {}, settings)
        key = pickle.dumps(given)
        if key not in known:
            known[key] = run(*given)
        return known[key]

    return run_once


@pytest.fixture(scope="session")
def ours(exported):
    """``ours(kind, form="onnx", **options)``: the pipeline of a small model's package in float32, loaded once."""

    @cache
    def load(kind, form="onnx", **options):
        return partway.load(exported(kind, form, "fp32").folder, **options)

    return load
