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
from partway.diffusion.grids import Schedule
from partway.diffusion.schedules import SCHEDULES

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
    *(
        (s, "leading_dpm" if s in MULTISTEP else "leading", {"timestep_spacing": "leading"})
        for s in CLASSES
        if s != "lcm"
    ),
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
    """Runs diffusers on a small model, each configuration once; ``strength=None`` is text-to-image."""

    @cache
    def components(kind):
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(models(kind), safety_checker=None)
        return pipe.components

    @cache
    def run(kind, cls, flags, strength, seeds, size, steps, guidance_scale, guidance_rescale):
        parts = components(kind) | {"requires_safety_checker": False}
        parts["scheduler"] = getattr(diffusers, cls).from_config({**parts["scheduler"].config, **dict(flags)})
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        settings = {
            "prompt": [PROMPT] * len(seeds),
            "negative_prompt": [NEGATIVE] * len(seeds),
            "generator": generators,
            "num_inference_steps": steps,
            "guidance_scale": guidance_scale,
        }
        if strength is None:
            pipe = diffusers.StableDiffusionPipeline(**parts)
            settings |= {"width": size[0], "height": size[1], "guidance_rescale": guidance_rescale}
        else:
            assert guidance_rescale == 0, "diffusers has no guidance_rescale in its image-to-image pipeline"
            pipe = diffusers.StableDiffusionImg2ImgPipeline(**parts)
            settings |= {"image": [picture(*size)] * len(seeds), "strength": strength}
        pipe.set_progress_bar_config(disable=True)
        return [np.asarray(image) for image in pipe(**settings).images]

    return run


@pytest.fixture(scope="session")
def partway_run(models):
    @cache
    def load(kind, form, options):
        return partway.load(models(kind, form), **dict(options))

    def run(kind, form, options, strength, seeds, size, **settings):
        pipe = load(kind, form, options)
        settings |= {"negative_prompt": NEGATIVE, "seed": seeds}
        if strength is None:
            result = pipe.txt2img(PROMPT, width=size[0], height=size[1], **settings)
        else:
            result = pipe.img2img(picture(*size), PROMPT, strength=strength, **settings)
        return [np.asarray(image) for image in result.images]

    return run


@pytest.fixture
def assert_same_pictures(diffusers_run, partway_run):
    def check(
        kind,
        form,
        sampler,
        schedule,
        flags,
        strength,
        *,
        dial="continuous",
        seeds=(SEED,),
        size=(96, 64),
        steps=10,
        guidance_scale=7.5,
        guidance_rescale=0.0,
        options=(),
    ):
        cls, own = CLASSES[sampler]
        flags = tuple(sorted({**own, **flags}.items()))
        theirs = diffusers_run(kind, cls, flags, strength, seeds, size, steps, guidance_scale, guidance_rescale)
        ours = partway_run(
            kind,
            form,
            options,
            strength,
            seeds,
            size,
            steps=steps,
            guidance_scale=guidance_scale,
            guidance_rescale=guidance_rescale,
            sampler=sampler,
            schedule=schedule,
            dial=dial,
        )
        assert len(ours) == len(theirs) == len(seeds)
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == other.shape == (size[1], size[0], 3)
            assert other.std() > 10, "the reference picture is flat and proves nothing"
            assert psnr(one, other) >= 50
        return ours

    return check


def psnr(ours, theirs):
    error = np.mean((ours.astype(float) - theirs.astype(float)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def every_case():
    """All but two of PNDM's: below strength 1 diffusers is wrong, and for v it combines raw outputs where our plms
    combines the predicted noise. `test_samplers.py` compares plms from the middle with PNDM's formula put right."""
    for kind in KINDS:
        for sampler, schedule, flags in GRIDS:
            for strength in (0.5, None):
                if sampler != "plms" or (kind != "sd2-v" and strength is None):
                    grid = getattr(schedule, "__name__", schedule)
                    name = f"{kind}-{CLASSES[sampler][0]}-{grid}-{strength or 'txt2img'}"
                    yield pytest.param(kind, sampler, schedule, flags, strength, id=name)


@pytest.mark.parametrize(("kind", "sampler", "schedule", "flags", "strength"), list(every_case()))
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_every_sampler_and_schedule(assert_same_pictures, form, kind, sampler, schedule, flags, strength):
    assert_same_pictures(kind, form, sampler, schedule, flags, strength)


LEADING = {"timestep_spacing": "leading"}
EULER = ("euler", "leading", LEADING)
DPM = ("dpmpp_2m", "leading_dpm", LEADING)


@pytest.mark.parametrize("strength", [0.1, 0.3, 0.8, 0.9])
@pytest.mark.parametrize("grid", [EULER, DPM], ids=["euler", "dpmpp_2m"])
def test_strengths_of_whole_steps(assert_same_pictures, grid, strength):
    assert_same_pictures("sd1", "onnx", *grid, strength)


@pytest.mark.parametrize("strength", [0.15, 0.45, 0.58, 0.999, 1.0])
@pytest.mark.parametrize("grid", [EULER, DPM, ("heun", "leading", LEADING)], ids=["euler", "dpmpp_2m", "heun"])
def test_every_strength_on_the_diffusers_dial(assert_same_pictures, grid, strength):
    assert_same_pictures("sd1", "onnx", *grid, strength, dial="diffusers")


@pytest.mark.parametrize("strength", [0.5, None])
def test_without_guidance(assert_same_pictures, strength):
    assert_same_pictures("sd1", "onnx", *DPM, strength, guidance_scale=1.0)


def test_guidance_rescale(assert_same_pictures):
    assert_same_pictures("sd2-v", "onnx", *EULER, None, guidance_rescale=0.7)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("strength", [0.5, None])
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde", "euler_a"])
def test_two_seeds_are_a_list_of_two_generators(assert_same_pictures, form, strength, sampler):
    schedule = "leading_dpm" if sampler in MULTISTEP else "leading"
    first, second = assert_same_pictures("sd1", form, sampler, schedule, LEADING, strength, seeds=(7, 2**40 + 9))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("size", [(64, 160), (128, 128), (256, 256)])
def test_sizes(assert_same_pictures, size):
    assert_same_pictures("sd1", "onnx", *DPM, 0.5, size=size)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("openvino", (("static", True),)),
        ("openvino", (("static", True), ("batch", 1))),
        ("onnx", (("batch", 1),)),
        ("onnx", (("engine", "openvino"),)),
    ],
)
def test_static_shapes_and_single_calls_change_nothing(assert_same_pictures, form, options):
    assert_same_pictures("sd1", form, *DPM, 0.5, options=options, seeds=(1, 2))
