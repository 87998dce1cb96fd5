"""The SDXL family against diffusers' pipelines: same random weights, same seed, same prompt, at least 50 dB.

Sizes are multiples of what each UNet halves, where diffusers and partway show it the same picture.
"""

import numpy as np
import pytest

from likeness import assert_same, mask, source
from sweeps import sweep

PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light", "dark photo"
SEED = 42
ENGINES = ["onnxruntime", "openvino"]

# our sampler: diffusers' class and the flags that make it the same algorithm
CLASSES = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"set_alpha_to_one": True, "clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
}
SAMPLERS = list(CLASSES)
TASKS = {
    "txt2img": "StableDiffusionXLPipeline",
    "img2img": "StableDiffusionXLImg2ImgPipeline",
    "inpaint": "StableDiffusionXLInpaintPipeline",
}


@pytest.fixture
def theirs(diffusers_run):
    """``theirs(kind, task, sampler, **settings)``: what diffusers' pipeline makes of a small model."""

    def run(kind, task, sampler, **settings):
        refiner = kind == "sdxl-refiner"
        options = {"force_zeros_for_empty_prompt": not refiner, "add_watermarker": False}
        options |= {"requires_aesthetics_score": refiner} if task != "txt2img" else {}
        scheduler = sampler and (CLASSES[sampler][0], {**CLASSES[sampler][1], "timestep_spacing": "trailing"})
        return diffusers_run(TASKS[task], kind, scheduler, options=options, prompt=PROMPT, **settings)

    return run


@pytest.mark.parametrize(
    ("engine", "sampler", "guidance"), sweep(ENGINES, SAMPLERS, [(1.0, None), (5.0, None), (5.0, NEGATIVE)])
)
def test_text_to_image(theirs, ours, engine, sampler, guidance):
    scale, negative = guidance
    common = {"width": 96, "height": 64, "guidance_scale": scale}
    expected = theirs("sdxl", "txt2img", sampler, num_inference_steps=10, negative_prompt=negative, **common)
    made = ours("sdxl", engine=engine).txt2img(
        PROMPT, steps=10, negative_prompt=negative or "", seed=SEED, sampler=sampler, schedule="trailing", **common
    )
    assert_same(made.images, expected)


@pytest.mark.parametrize(
    ("engine", "sampler", "strength", "guidance"),
    sweep(ENGINES, SAMPLERS, [0.3, 0.45, 0.7, 1.0], [(1.0, None), (5.0, NEGATIVE)]),
)
def test_image_to_image(theirs, ours, engine, sampler, strength, guidance):
    scale, negative = guidance
    picture = source()
    common = {"strength": strength, "guidance_scale": scale}
    expected = theirs(
        "sdxl", "img2img", sampler, image=picture, num_inference_steps=10, negative_prompt=negative, **common
    )
    made = ours("sdxl", engine=engine).img2img(
        picture, PROMPT, steps=10, negative_prompt=negative or "", seed=SEED, sampler=sampler, schedule="trailing",
        dial="diffusers", **common,
    )  # fmt: skip
    assert_same(made.images, expected)


def test_openvino_files(ours, theirs):
    expected = theirs(
        "sdxl", "img2img", "dpmpp_2m", image=source(), num_inference_steps=10, strength=0.5, guidance_scale=5.0,
        negative_prompt=NEGATIVE,
    )  # fmt: skip
    for options in ({}, {"static": True, "batch": 1}):
        made = ours("sdxl", "openvino", **options).img2img(
            source(), PROMPT, steps=10, strength=0.5, guidance_scale=5.0, negative_prompt=NEGATIVE, seed=SEED,
            sampler="dpmpp_2m", schedule="trailing",
        )  # fmt: skip
        assert_same(made.images, expected)


@pytest.mark.parametrize("task", ["txt2img", "img2img"])
def test_sizes_are_told(theirs, ours, task):
    """Ours are (width, height) and (left, top), diffusers' the other way round."""
    pipe, plain, told = ours("sdxl", engine="onnxruntime"), {}, {}
    for made, sizes in ((plain, {}), (told, {"original_size": (40, 30), "crop": (7, 19), "target_size": (200, 120)})):
        settings = {"steps": 4, "seed": SEED, "sampler": "euler", "schedule": "trailing", **sizes}
        if task == "txt2img":
            made["images"] = pipe.txt2img(PROMPT, width=96, height=64, **settings).images
        else:
            made["images"] = pipe.img2img(source(), PROMPT, strength=0.5, **settings).images
    given = {"width": 96, "height": 64} if task == "txt2img" else {"image": source(), "strength": 0.5}
    given |= {"original_size": (30, 40), "crops_coords_top_left": (19, 7), "target_size": (120, 200)}
    # Given sizes count for the negative prompt too, which diffusers does of itself only in image-to-image.
    if task == "txt2img":
        given |= {f"negative_{name}": given[name] for name in ("original_size", "target_size", "crops_coords_top_left")}
    expected = theirs("sdxl", task, "euler", num_inference_steps=4, guidance_scale=7.5, **given)
    assert_same(told["images"], expected)
    assert np.asarray(told["images"][0]).tobytes() != np.asarray(plain["images"][0]).tobytes()


@pytest.mark.parametrize(
    ("engine", "scores", "negative"),
    sweep(ENGINES, [{}, {"aesthetic_score": 9.0, "negative_aesthetic_score": 1.0}], [None, NEGATIVE]),
)
def test_the_refiner_alone(theirs, ours, engine, scores, negative):
    picture = source(128, 64)
    common = {"strength": 0.3, "guidance_scale": 5.0, **scores}
    expected = theirs(
        "sdxl-refiner", "img2img", "euler", image=picture, num_inference_steps=10, negative_prompt=negative, **common
    )
    made = ours("sdxl-refiner", engine=engine).img2img(
        picture, PROMPT, steps=10, negative_prompt=negative or "", seed=SEED, sampler="euler", schedule="trailing",
        **common,
    )  # fmt: skip
    assert_same(made.images, expected)


@pytest.mark.parametrize(
    ("engine", "sampler", "task", "share"), sweep(ENGINES, SAMPLERS, ["txt2img", "img2img"], [0.8, 0.55])
)
def test_base_then_refiner(theirs, ours, engine, sampler, task, share):
    picture = source(128, 64)
    seeds = (SEED, 2**40 + 9)
    common = {"negative_prompt": NEGATIVE, "guidance_scale": 5.0}
    given = {"width": 128, "height": 64} if task == "txt2img" else {"image": picture, "strength": 0.7}
    both = {"seeds": seeds, "num_inference_steps": 10, **common}
    between = theirs("sdxl", task, sampler, denoising_end=share, output_type="latent", **given, **both)
    expected = theirs("sdxl-refiner", "img2img", sampler, image=between, denoising_start=share, **both)

    settings = {"seed": seeds, "steps": 10, "sampler": sampler, "schedule": "trailing", **common}
    base, refiner = ours("sdxl", engine=engine), ours("sdxl-refiner", engine=engine)
    if task == "txt2img":
        first = base.txt2img(PROMPT, width=128, height=64, denoising_end=share, **settings)
    else:
        first = base.img2img(picture, PROMPT, strength=0.7, denoising_end=share, **settings)
    assert first.images == []
    assert first.plan.calls["vae_decoder"] == 0 and first.seconds.get("vae_decoder") is None
    second = refiner.img2img(first.latents, PROMPT, denoising_start=share, **settings)
    assert second.plan.calls["vae_encoder"] == 0
    assert_same(second.images, expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "strength"),
    # An ordinary UNet at 1 starts from noise alone in diffusers; here the known part is there from the first call on.
    [
        ("sdxl", 0.5),
        pytest.param("sdxl", 0.8, marks=pytest.mark.thorough),
        pytest.param("sdxl-inpaint", 0.5, marks=pytest.mark.thorough),
        ("sdxl-inpaint", 0.8),
        ("sdxl-inpaint", 1.0),
    ],
)
def test_inpainting(theirs, ours, engine, kind, strength):
    common = {"strength": strength, "guidance_scale": 5.0, "negative_prompt": NEGATIVE}
    expected = theirs(
        kind, "inpaint", "euler_a", image=source(), mask_image=mask(), width=96, height=64, num_inference_steps=10,
        **common,
    )  # fmt: skip
    made = ours(kind, engine=engine).inpaint(
        source(), mask(), PROMPT, steps=10, seed=SEED, sampler="euler_a", schedule="trailing", **common
    )
    assert_same(made.images, expected, np.asarray(mask()) > 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, pytest.param(2, marks=pytest.mark.thorough), 4])
def test_turbo_as_it_comes(theirs, ours, engine, steps):
    """Its scheduler_config.json says Euler with fresh noise on trailing timesteps: nothing is set but the steps."""
    pipe = ours("sdxl-turbo", engine=engine)
    common = {"guidance_scale": 0.0}
    expected = theirs("sdxl-turbo", "txt2img", None, width=96, height=64, num_inference_steps=steps, **common)
    assert_same(pipe.txt2img(PROMPT, width=96, height=64, steps=steps, seed=SEED, **common).images, expected)
    if steps > 1:
        picture = source()
        common |= {"strength": 0.5}
        expected = theirs("sdxl-turbo", "img2img", None, image=picture, num_inference_steps=steps, **common)
        assert_same(pipe.img2img(picture, PROMPT, steps=steps, seed=SEED, **common).images, expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["ssd-1b", "vega"])
def test_models_with_layers_cut_out(theirs, ours, engine, kind):
    pipe, picture = ours(kind, engine=engine), source()
    common = {"guidance_scale": 5.0, "negative_prompt": NEGATIVE}
    settings = {"steps": 10, "seed": SEED, "sampler": "euler", "schedule": "trailing", **common}
    expected = theirs(kind, "txt2img", "euler", width=96, height=64, num_inference_steps=10, **common)
    assert_same(pipe.txt2img(PROMPT, width=96, height=64, **settings).images, expected)
    expected = theirs(kind, "img2img", "euler", image=picture, strength=0.5, num_inference_steps=10, **common)
    assert_same(pipe.img2img(picture, PROMPT, strength=0.5, **settings).images, expected)
