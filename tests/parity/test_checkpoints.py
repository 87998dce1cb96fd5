"""Models as people hold them against diffusers' own reading of the same file: same seed, same picture.

Each is a small random-weight model of the published structure, in the original code's names as one file, and as the
folder that diffusers saves. At least 50 dB for float32 and 40 dB for 16 bits, where torch has the same rounded weights.
"""

from functools import cache
from itertools import cycle, product

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import checkpoint_models
import partway

PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light!", "dark photo"
ENGINES = ["onnxruntime", "openvino"]
PIPELINES = {
    "sd": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
    "xl": ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"),
}
EULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """``models(kind, type)``: the folder that holds both forms of a small model; each is made once."""
    root = tmp_path_factory.mktemp("models")

    def get(kind, dtype="float32"):
        folder = root / f"{kind}-{dtype}"
        if not folder.exists():
            folder.mkdir()
            checkpoint_models.build(folder, kind, dtype)
        return folder

    return get


@pytest.fixture(scope="module")
def theirs(models):
    """``theirs(kind, type, class)``: diffusers' pipeline of the single file, its weights rounded to the type."""

    @cache
    def components(kind, dtype):
        root = models(kind, dtype)
        cls = getattr(diffusers, diffusers.DiffusionPipeline.load_config(root / "folder")["_class_name"])
        more = {} if kind.startswith(("sdxl", "ssd", "vega")) else {"safety_checker": None}
        if kind == "sd1-lcm":  # of whose files diffusers does not read the guidance scale's layer
            pipe = cls.from_pretrained(root / "folder", **more)
        else:
            file, config = str(root / "model.safetensors"), str(root / "folder")
            pipe = cls.from_single_file(file, config=config, local_files_only=True, **more)
        pipe.to(torch.float32)
        return pipe.components

    def get(kind, dtype, cls):
        parts = dict(components(kind, dtype))
        if cls.startswith("StableDiffusionXL"):
            parts |= {"add_watermarker": False, "force_zeros_for_empty_prompt": kind != "sdxl-refiner"}
            parts |= {"requires_aesthetics_score": kind == "sdxl-refiner"} if "XLP" not in cls else {}
        else:
            parts |= {"requires_safety_checker": False}
        prediction = "v_prediction" if kind == "sd2-v" else "epsilon"
        parts["scheduler"] = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1, prediction_type=prediction)
        pipe = getattr(diffusers, cls)(**parts)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return get


@cache
def opened(path, engine, **options):
    return partway.load(path, engine=engine, **options)


def picture(width, height):
    """A picture with structure at several scales."""
    y, x = np.mgrid[:height, :width] / 16
    rgb = np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(3 * y) * np.cos(x)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 90 * rgb + np.random.default_rng(0).normal(0, 12, rgb.shape)))


def mask(width, height):
    """White inside, on the grid of latents."""
    values = np.zeros((height, width), np.uint8)
    values[16:-16, 24:-24] = 255
    return Image.fromarray(values)


def psnr(ours, wanted):
    ours, wanted = np.asarray(ours, float), np.asarray(wanted, float)
    assert ours.shape == wanted.shape
    assert wanted.std() > 10, "the reference picture is flat and proves nothing"
    error = np.mean((ours - wanted) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def both(theirs, models, kind, engine, *, dtype="float32", form="model.safetensors", size=(96, 64), **settings):
    """partway's picture, and diffusers'; ``strength`` None is text-to-image."""
    family = "xl" if kind.startswith(("sdxl", "ssd", "vega")) else "sd"
    strength, scale = settings.pop("strength", 0.5), settings.pop("guidance_scale", 5.0)
    plain, from_picture, _ = PIPELINES[family]
    common = {"guidance_scale": scale, "negative_prompt": NEGATIVE}
    pipe = opened(models(kind, dtype) / form, engine)
    ours = dict(common, steps=6, seed=7, sampler="euler", schedule="leading", **settings)
    given = dict(common, num_inference_steps=6, generator=torch.Generator().manual_seed(7))
    if strength is None:
        wanted = theirs(kind, dtype, plain)(PROMPT, width=size[0], height=size[1], **given)
        return pipe.txt2img(PROMPT, width=size[0], height=size[1], **ours).image, wanted.images[0]
    image = picture(*size)
    wanted = theirs(kind, dtype, from_picture)(PROMPT, image=image, strength=strength, **given)
    return pipe.img2img(image, PROMPT, strength=strength, **ours).image, wanted.images[0]


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        *product(["sd1", "sdxl"], ENGINES),
        *zip(["sd2", "sd2-v", "sdxl-refiner", "ssd-1b", "vega"], cycle(ENGINES)),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in zip(["sd2", "sd2-v", "sdxl-refiner", "ssd-1b", "vega"], cycle(ENGINES[::-1]))
        ),
    ],
)
def test_a_file_gives_the_picture_that_diffusers_makes_of_it(theirs, models, kind, engine):
    assert psnr(*both(theirs, models, kind, engine)) >= 50


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_folder_that_diffusers_saved_gives_it_too(theirs, models, kind):
    assert psnr(*both(theirs, models, kind, "onnxruntime", form="folder")) >= 50


@pytest.mark.parametrize(
    ("kind", "engine", "dtype"),
    [
        ("sd1", "onnxruntime", "float16"),
        ("sd1", "onnxruntime", "bfloat16"),
        ("sd1", "openvino", "bfloat16"),
        ("sdxl", "openvino", "float16"),
        pytest.param("sd1", "openvino", "float16", marks=pytest.mark.thorough),
        pytest.param("sdxl", "openvino", "bfloat16", marks=pytest.mark.thorough),
    ],
)
def test_weights_of_sixteen_bits(theirs, models, kind, engine, dtype):
    assert psnr(*both(theirs, models, kind, engine, dtype=dtype)) >= 40


@pytest.mark.parametrize("size", [(72, 104), pytest.param((120, 64), marks=pytest.mark.thorough), (136, 88)])
@pytest.mark.parametrize("engine", ENGINES)
def test_sizes_that_are_multiples_of_eight_run_as_they_are(theirs, models, engine, size):
    ours, wanted = both(theirs, models, "sd1", engine, size=size)
    assert ours.size == size
    assert psnr(ours, wanted) >= 50


@pytest.mark.parametrize("strength", [1 / 6, 5 / 6, None])
def test_strengths(theirs, models, strength):
    assert psnr(*both(theirs, models, "sd1", "onnxruntime", strength=strength)) >= 50


def test_without_guidance(theirs, models):
    assert psnr(*both(theirs, models, "sd1", "onnxruntime", guidance_scale=1.0)) >= 50


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        *zip(["sd1-inpaint", "sd2-inpaint", "sdxl-inpaint"], cycle(ENGINES)),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in zip(["sd1-inpaint", "sd2-inpaint", "sdxl-inpaint"], cycle(ENGINES[::-1]))
        ),
    ],
)
def test_inpainting(theirs, models, kind, engine):
    image, hole = picture(96, 64), mask(96, 64)
    cls = PIPELINES["xl" if kind.startswith("sdxl") else "sd"][2]
    common = {"guidance_scale": 5.0, "negative_prompt": NEGATIVE, "strength": 0.5}
    wanted = theirs(kind, "float32", cls)(
        PROMPT, image=image, mask_image=hole, width=96, height=64, num_inference_steps=6,
        generator=torch.Generator().manual_seed(7), **common,
    ).images[0]  # fmt: skip
    pipe = opened(models(kind) / "model.safetensors", engine)
    ours = pipe.inpaint(image, hole, PROMPT, steps=6, seed=7, sampler="euler", schedule="leading", **common).image
    inside = np.asarray(hole) > 0  # outside it is the picture itself in partway's
    assert psnr(np.asarray(ours)[inside], np.asarray(wanted)[inside]) >= 50


@pytest.mark.parametrize("engine", ENGINES)
def test_instructions(theirs, models, engine):
    image = picture(96, 64)
    common = {"guidance_scale": 5.0, "image_guidance_scale": 1.5, "negative_prompt": NEGATIVE}
    pipe = theirs("sd1-instruct", "float32", "StableDiffusionInstructPix2PixPipeline")
    generator = torch.Generator().manual_seed(7)
    wanted = pipe(PROMPT, image=image, num_inference_steps=6, generator=generator, **common).images[0]
    ours = opened(models("sd1-instruct") / "model.safetensors", engine)
    ours = ours.instruct(image, PROMPT, strength=1.0, steps=6, seed=7, sampler="euler", schedule="leading", **common)
    assert psnr(ours.image, wanted) >= 50


@pytest.mark.parametrize("engine", ENGINES)
def test_a_distilled_guidance_scale(theirs, models, engine):
    image = picture(96, 64)
    pipe = theirs("sd1-lcm", "float32", "LatentConsistencyModelImg2ImgPipeline")
    pipe.scheduler = diffusers.LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", set_alpha_to_one=True
    )
    generator = torch.Generator().manual_seed(7)
    settings = {"guidance_scale": 8.0, "strength": 0.5}
    wanted = pipe(PROMPT, image=image, num_inference_steps=4, generator=generator, **settings).images[0]
    ours = opened(models("sd1-lcm") / "model.safetensors", engine)
    found = ours.img2img(image, PROMPT, steps=4, seed=7, dial="lcm", **settings)
    assert psnr(found.image, wanted) >= 50


def test_what_the_file_suggests_is_what_its_folder_says(models):
    for kind in ("sd1", "sdxl-turbo", "sdxl-refiner", "sd1-lcm"):
        file, folder = (partway.load(models(kind) / form).package for form in ("model.safetensors", "folder"))
        for name in ("family", "guidance", "guidance_width", "size_conditions", "zeros_for_empty", "latent_scale"):
            assert getattr(file, name) == getattr(folder, name), (kind, name)
        if kind in ("sdxl-turbo", "sd1-lcm"):
            assert (file.sampler, file.schedule) == (folder.sampler, folder.schedule)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["diffusers", "original"])
def test_a_tiny_autoencoder_beside_the_vae(models, tmp_path, engine, form):
    torch.manual_seed(3)
    widths = {f"{side}_block_out_channels": (16,) * 4 for side in ("encoder", "decoder")}
    vae = diffusers.AutoencoderTiny(**widths, num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4).eval()
    with torch.no_grad():  # pictures with contrast
        last = vae.decoder.layers[-1]
        last.bias.fill_(0.5)
        last.weight *= 0.5 / vae.decode(torch.randn(1, 4, 8, 12)).sample.std()
    state = vae.state_dict()
    path = tmp_path / "taesd_decoder.safetensors"
    if form == "diffusers":
        save_file(state, path)
    else:  # the decoder's first layer has no weights
        for half in ("encoder", "decoder"):
            names = {name: name.split(".", 3) for name in state if name.startswith(half)}
            own = {f"{int(at) + (half == 'decoder')}.{end}": state[name] for name, (_, _, at, end) in names.items()}
            save_file(own, tmp_path / f"taesd_{half}.safetensors")
    pipe = partway.load(models("sd1") / "model.safetensors", engine=engine, vae=path)
    result = pipe.img2img(picture(96, 64), PROMPT, strength=0.5, steps=4)
    assert result.plan.calls["tiny_decoder"] == 1 and not result.plan.calls.get("vae_decoder")
    with torch.no_grad():
        pixels = vae.decode(torch.from_numpy(result.latents.values)).sample.numpy()[0].transpose(1, 2, 0)
    assert psnr(result.image, np.clip(127.5 * pixels + 127.5, 0, 255)) >= 45  # rounded to eight bits
    own = pipe.img2img(picture(96, 64), PROMPT, strength=0.5, steps=4, vae="own")
    assert own.plan.calls["vae_decoder"] == 1


def test_reuse_streaming_and_a_memory_limit(models):
    image = picture(128, 96)
    path = models("sd1") / "model.safetensors"
    settings = {"strength": 0.5, "steps": 6, "seed": 7}
    whole = opened(path, "onnxruntime").img2img(image, PROMPT, **settings).image
    streamed = opened(path, "onnxruntime", stream=True).img2img(image, PROMPT, **settings).image
    assert psnr(streamed, whole) >= 60
    limited = opened(path, "onnxruntime", memory_limit="300MB").img2img(image, PROMPT, **settings)
    assert limited.plan.peak_bytes <= 300e6
    reused = opened(path, "onnxruntime").img2img(image, PROMPT, reuse=0.9, **settings)
    assert reused.plan.calls["unet_shallow"] > 0
    assert psnr(reused.image, whole) >= 20
