"""Pictures against diffusers' pipelines: same random weights, same seed, same prompt, at least 50 dB.

Each case names diffusers' scheduler class and flags, for its classes disagree on what "leading" or "karras" is.
"""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import partway
from partway.schedules import SCHEDULES, Schedule

PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light", "dark photo"
SEED = 42
KINDS = ["sd1", "sd2", "sd2-v"]

# our sampler: diffusers' class and the flags that make it the same algorithm
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "plms": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": True}),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 2, "solver_type": "bh2"}),
    "lcm": ("LCMScheduler", {"set_alpha_to_one": True}),
}
MULTISTEP = ("dpmpp_2m", "dpmpp_2m_sde", "unipc")  # the classes with grids of their own


def rounded_karras(trained, steps):
    """Karras sigmas with the whole timesteps that diffusers' multistep classes tell the network."""
    exact = SCHEDULES["karras"](trained, steps)
    return Schedule(np.array(exact.sigmas), np.rint(exact.timesteps))


# (our sampler, our schedule, diffusers' flags for it)
GRIDS = [
    *((s, "leading_dpm" if s in MULTISTEP else "leading", {"timestep_spacing": "leading"}) for s in CLASSES if s != "lcm"),
    *((s, "trailing", {"timestep_spacing": "trailing"}) for s in CLASSES if s != "lcm"),
    *(
        (s, rounded_karras if s in MULTISTEP else "karras", {"timestep_spacing": "linspace", "use_karras_sigmas": True})
        for s in ("euler", "heun", *MULTISTEP)
    ),
    ("lcm", "lcm", {}),
]


@cache
def picture(width=96, height=64):
    """A picture with structure at several scales."""
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 90 * rgb + np.random.default_rng(0).normal(0, 12, rgb.shape)))


@pytest.fixture(scope="session")
def diffusers_run(models):
    """Runs diffusers on a small model; ``strength=None`` is text-to-image."""

    @cache
    def components(kind):
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(models(kind), safety_checker=None)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def run(kind, cls, flags, strength, seeds=(SEED,), size=(96, 64), **settings):
        pipe = components(kind)
        scheduler = getattr(diffusers, cls).from_config({**pipe.scheduler.config, **flags})
        made = {name: part for name, part in pipe.components.items() if name != "scheduler"}
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        count = {"num_images_per_prompt": len(seeds), "generator": generators if len(seeds) > 1 else generators[0]}
        if strength is None:
            run = diffusers.StableDiffusionPipeline(**made, scheduler=scheduler, requires_safety_checker=False)
            settings |= {"width": size[0], "height": size[1]}
        else:
            run = diffusers.StableDiffusionImg2ImgPipeline(**made, scheduler=scheduler, requires_safety_checker=False)
            source = picture(*size)
            # diffusers draws each picture's posterior from its own generator only for a list of pictures
            settings |= {"image": [source] * len(seeds) if len(seeds) > 1 else source, "strength": strength}
            if len(seeds) > 1:
                count["num_images_per_prompt"] = 1
                settings["prompt"] = [settings["prompt"]] * len(seeds)
                settings["negative_prompt"] = [settings["negative_prompt"]] * len(seeds)
        run.set_progress_bar_config(disable=True)
        return [np.asarray(image) for image in run(**count, **settings).images]

    return run


@pytest.fixture(scope="session")
def partway_run(models):
    @cache
    def load(kind, form, **options):
        return partway.load(models(kind, form), **options)

    def run(kind, form, strength, seeds=(SEED,), size=(96, 64), *, prompt, options=None, **settings):
        pipe = load(kind, form, **(options or {}))
        seed = list(seeds) if len(seeds) > 1 else seeds[0]
        if strength is None:
            result = pipe.txt2img(prompt, width=size[0], height=size[1], seed=seed, **settings)
        else:
            result = pipe.img2img(picture(*size), prompt, strength=strength, seed=seed, **settings)
        return [np.asarray(image) for image in result.images]

    return run


def psnr(ours, theirs):
    error = np.mean((ours.astype(float) - theirs.astype(float)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert other.std() > 10, "the reference picture is flat and proves nothing"
        assert psnr(one, other) >= 50


def both(diffusers_run, partway_run, kind, form, sampler, schedule, flags, strength, **more):
    cls, own = CLASSES[sampler]
    texts = {"prompt": PROMPT, "negative_prompt": NEGATIVE}
    steps = more.pop("steps", 10)
    scale = more.pop("guidance_scale", 7.5)
    dial = more.pop("dial", "continuous")
    options = more.pop("options", None)
    theirs = diffusers_run(
        kind, cls, {**own, **flags}, strength, num_inference_steps=steps, guidance_scale=scale, **texts, **more
    )
    ours = partway_run(
        kind,
        form,
        strength,
        steps=steps,
        guidance_scale=scale,
        sampler=sampler,
        schedule=schedule,
        dial=dial,
        options=options,
        **texts,
        **more,
    )
    return ours, theirs


def supported(kind, sampler, strength):
    """PNDM is wrong in diffusers below strength 1, and for v it combines raw outputs instead of the noise."""
    return sampler != "plms" or (kind != "sd2-v" and strength is None)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("kind", "sampler", "schedule", "flags", "strength"),
    [
        (kind, *grid, strength)
        for kind in KINDS
        for grid in GRIDS
        for strength in (0.5, None)
        if supported(kind, grid[0], strength)
    ],
)
def test_every_sampler_and_schedule(diffusers_run, partway_run, form, kind, sampler, schedule, flags, strength):
    assert_same(*both(diffusers_run, partway_run, kind, form, sampler, schedule, flags, strength))
