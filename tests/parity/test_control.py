"""Runs that ControlNets and T2I-Adapters guide, against diffusers' pipelines: same weights, same seed, same picture."""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import checkpoint_models
import partway
from likeness import assert_same, mask, source

PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light!", "dark photo"
ENGINES = ["onnxruntime", "openvino"]
EULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading"}
CONTROLLED = {
    "sd": ("StableDiffusionControlNet", "StableDiffusionControlNetImg2Img", "StableDiffusionControlNetInpaint"),
    "sdxl": ("StableDiffusionXLControlNet", "StableDiffusionXLControlNetImg2Img", "StableDiffusionXLControlNetInpaint"),
}
OTHER = source(96, 64).rotate(180)


def loud(module, seed):
    """Layers that begin as zeros, as training leaves them: enough to change a picture."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "controlnet_" in name or parameter.ndim == 1:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """``models(kind)``: a small model in both forms, two ControlNets and a T2I-Adapter beside it."""
    root = tmp_path_factory.mktemp("models")

    @cache
    def get(kind):
        folder = root / kind
        folder.mkdir()
        checkpoint_models.build(folder, kind)
        base = diffusers.UNet2DConditionModel.from_pretrained(folder / "folder/unet")
        for index in range(2):
            torch.manual_seed(index)
            net = loud(diffusers.ControlNetModel.from_unet(base, load_weights_from_unet=False), index)
            net.save_pretrained(folder / f"control{index}")
            save_file(net.state_dict(), folder / f"control{index}.safetensors")
        widths = list(base.config.block_out_channels)
        xl = kind == "sdxl"
        torch.manual_seed(9)
        adapter = diffusers.T2IAdapter(
            channels=[*widths, widths[-1]] if xl else widths,
            downscale_factor=16 if xl else 8,
            adapter_type="full_adapter_xl" if xl else "full_adapter",
        )
        loud(adapter, 9).save_pretrained(folder / "adapter")
        save_file(adapter.state_dict(), folder / "adapter.safetensors")
        return folder

    return get


@pytest.fixture(scope="module")
def theirs(models):
    """``theirs(kind, class, **more)``: diffusers' pipeline of a class over the small model."""

    @cache
    def components(kind):
        return diffusers.DiffusionPipeline.from_pretrained(models(kind) / "folder").components

    def get(kind, cls, **more):
        parts = dict(components(kind)) | more
        parts |= {"add_watermarker": False} if kind == "sdxl" else {"requires_safety_checker": False}
        if kind == "sdxl":
            parts = {name: part for name, part in parts.items() if name not in ("image_encoder",)}
        parts["scheduler"] = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
        pipe = getattr(diffusers, f"{cls}Pipeline")(**parts)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return get


@cache
def opened(path, engine="onnxruntime", **options):
    return partway.load(path, engine=engine, **options)


def nets(models, kind, count):
    found = [diffusers.ControlNetModel.from_pretrained(models(kind) / f"control{index}") for index in range(count)]
    return found if count > 1 else found[0]


COMMON = {"guidance_scale": 5.0, "negative_prompt": NEGATIVE}
THEIRS = {**COMMON, "num_inference_steps": 6}
OURS = {**COMMON, "steps": 6, "seed": 7, "sampler": "euler", "schedule": "leading"}


def generator():
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize(
    ("kind", "engine", "form", "strength", "settings"),
    [
        ("sd1", "onnxruntime", "model.safetensors", 0.5, {}),
        ("sd1", "openvino", "model.safetensors", 0.5, {"guess_mode": True}),
        ("sd1", "onnxruntime", "folder", 5 / 6, {"guess_mode": True, "scale": 0.7}),
        ("sd1", "onnxruntime", "model.safetensors", 1 / 6, {"scale": 1.5}),
        ("sd1", "onnxruntime", "model.safetensors", None, {"end": 0.5}),
        ("sd1", "onnxruntime", "model.safetensors", 5 / 6, {"start": 0.2, "end": 0.8}),
        ("sd2", "onnxruntime", "model.safetensors", 0.5, {}),
        ("sd2", "openvino", "folder", None, {"scale": 0.5}),
        ("sdxl", "openvino", "model.safetensors", 0.5, {}),
        ("sdxl", "onnxruntime", "model.safetensors", None, {"guess_mode": True}),
    ],
)
def test_a_controlnet(models, theirs, kind, engine, form, strength, settings):
    family = "sdxl" if kind == "sdxl" else "sd"
    plain, from_picture, _ = CONTROLLED[family]
    given = {
        "controlnet_conditioning_scale": settings.get("scale", 1.0),
        "guess_mode": settings.get("guess_mode", False),
    }
    given |= {f"control_guidance_{name}": settings[name] for name in ("start", "end") if name in settings}
    cls, net = plain if strength is None else from_picture, nets(models, kind, 1)
    pipe, image = theirs(kind, cls, controlnet=net), source(96, 64)
    which = "control0" if form == "folder" else "control0.safetensors"
    control = partway.Control(models(kind) / which, OTHER, **settings)
    mine = opened(models(kind) / form, engine)
    if strength is None:
        wanted = pipe(PROMPT, image=OTHER, width=96, height=64, generator=generator(), **THEIRS, **given).images
        made = mine.txt2img(PROMPT, width=96, height=64, control=control, **OURS)
    else:
        where = {"image": image, "control_image": OTHER, "strength": strength, "generator": generator()}
        wanted = pipe(PROMPT, **where, **THEIRS, **given).images
        made = mine.img2img(image, PROMPT, strength=strength, control=control, **OURS)
    assert_same(made.images, wanted)
    counts = [control.counts(step, made.plan.steps_run) for step in range(made.plan.steps_run)]
    assert made.plan.calls["control_0"] == sum(counts)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_at_once(models, theirs, engine):
    pair = diffusers.MultiControlNetModel(nets(models, "sd1", 2))
    pipe, image = theirs("sd1", CONTROLLED["sd"][1], controlnet=pair), source(96, 64)
    wanted = pipe(
        PROMPT, image=image, control_image=[OTHER, image], strength=0.5, generator=generator(),
        controlnet_conditioning_scale=[0.8, 0.4], control_guidance_start=[0.0, 0.3], **THEIRS,
    ).images  # fmt: skip
    controls = [
        partway.Control(models("sd1") / "control0.safetensors", OTHER, scale=0.8),
        partway.Control(models("sd1") / "control1.safetensors", scale=0.4, start=0.3),
    ]
    mine = opened(models("sd1") / "model.safetensors", engine)
    made = mine.img2img(image, PROMPT, strength=0.5, control=controls, **OURS)
    assert_same(made.images, wanted)


@pytest.mark.parametrize("kind", ["sd1", "sd1-inpaint"])
def test_inpainting(models, theirs, kind):
    """The hint has -1 where the mask is white; a UNet of nine channels shows the ControlNet its first four."""
    image, hole = source(96, 64), mask(96, 64)
    hint = np.asarray(image, np.float32) / 255
    hint[np.asarray(hole) > 127] = -1
    net = nets(models, "sd1", 1)
    wanted = theirs(kind, CONTROLLED["sd"][2], controlnet=net)(
        PROMPT, image=image, mask_image=hole, control_image=torch.from_numpy(hint.transpose(2, 0, 1)[None]),
        strength=0.5, width=96, height=64, generator=generator(), **THEIRS,
    ).images  # fmt: skip
    control = partway.Control(models("sd1") / "control0.safetensors", kind="mask")
    mine = opened(models(kind) / "model.safetensors")
    made = mine.inpaint(image, hole, PROMPT, strength=0.5, control=control, **OURS)
    assert_same(made.images, wanted, np.asarray(hole) > 0)


@pytest.mark.parametrize(("kind", "engine"), [("sd1", "onnxruntime"), ("sdxl", "openvino")])
def test_a_t2i_adapter(models, theirs, kind, engine):
    adapter = diffusers.T2IAdapter.from_pretrained(models(kind) / "adapter")
    cls = f"StableDiffusion{'XL' if kind == 'sdxl' else ''}Adapter"
    hint = source(128, 64).rotate(180)
    given = {"adapter_conditioning_scale": 0.8}
    given |= {"adapter_conditioning_factor": 0.5} if kind == "sdxl" else {}
    wanted = theirs(kind, cls, adapter=adapter)(
        PROMPT, image=hint, width=128, height=64, generator=generator(), **THEIRS, **given
    ).images
    end = given.get("adapter_conditioning_factor", 1.0)
    form = "adapter" if kind == "sd1" else "adapter.safetensors"
    control = partway.Control(models(kind) / form, hint, scale=0.8, end=end)
    mine = opened(models(kind) / "model.safetensors", engine)
    made = mine.txt2img(PROMPT, width=128, height=64, control=control, **OURS)
    assert_same(made.images, wanted)
    assert made.plan.calls["control_0"] == 1


def test_what_counts_nothing_leaves_the_picture_as_it_is(models):
    mine, image = opened(models("sd1") / "model.safetensors"), source(96, 64)
    plain = mine.img2img(image, PROMPT, strength=0.5, **OURS)
    file = models("sd1") / "control0.safetensors"
    guided = mine.img2img(image, PROMPT, strength=0.5, control=partway.Control(file), **OURS)
    none = mine.img2img(image, PROMPT, strength=0.5, control=partway.Control(file, scale=0), **OURS)
    again = mine.img2img(image, PROMPT, strength=0.5, **OURS)
    assert np.array_equal(none.image, plain.image) and np.array_equal(again.image, plain.image)
    assert np.abs(np.subtract(guided.image, plain.image, dtype=float)).mean() > 2


def test_tiles_reuse_segments_batches_and_adapters_of_weights(models):
    """Each way of running gives nearly the picture that the plain way gives."""
    path, image = models("sd1") / "model.safetensors", source(128, 96)
    settings = {"strength": 0.5, **OURS, "control": partway.Control(models("sd1") / "control0.safetensors", scale=0.5)}
    whole = opened(path).img2img(image, PROMPT, **settings)

    def near(made, least):
        error = np.mean(np.subtract(made.image, whole.image, dtype=float) ** 2)
        return error == 0 or 10 * np.log10(255**2 / error) >= least

    assert near(opened(path, stream=True).img2img(image, PROMPT, **settings), 60)
    assert near(opened(path, batch=1).img2img(image, PROMPT, **settings), 60)
    assert near(opened(path, "openvino", static=True).img2img(image, PROMPT, **settings), 50)
    limited = opened(path, memory_limit="330MB").img2img(image, PROMPT, **settings)
    assert limited.plan.peak_bytes <= 330e6 and near(limited, 45)
    reused = opened(path).img2img(image, PROMPT, reuse=0.5, **settings)
    assert reused.plan.calls["control_0"] == reused.plan.calls["unet"] < whole.plan.calls["control_0"]
    assert near(reused, 20)
    tiled = opened(path).img2img(image, PROMPT, tile=64, **settings)
    assert tiled.plan.calls["control_0"] == tiled.plan.calls["unet"] > whole.plan.calls["unet"]
    assert near(tiled, 12)


def test_an_exported_package(exported, models, tmp_path):
    """Its UNet takes residuals where a graph joins its skips, whole and shallow; IR is refused."""
    folder = exported("sd1", "onnx", "fp32", split=True).folder
    base = diffusers.UNet2DConditionModel.from_config(partway.load(folder).package.config("unet"))
    net = loud(diffusers.ControlNetModel.from_unet(base, load_weights_from_unet=False), 3)
    save_file(net.state_dict(), tmp_path / "control.safetensors")
    control = partway.Control(tmp_path / "control.safetensors", kind="canny")
    made = [
        opened(folder, engine).img2img(source(96, 64), PROMPT, strength=0.5, control=control, reuse=reuse, **OURS)
        for engine, reuse in (("onnxruntime", 0), ("openvino", 0), ("onnxruntime", 0.5))
    ]
    plain = opened(folder).img2img(source(96, 64), PROMPT, strength=0.5, **OURS)
    assert_same(made[1].images, made[0].images)
    assert np.abs(np.subtract(made[0].image, plain.image, dtype=float)).mean() > 2
    assert made[2].plan.calls["unet_shallow"]
    with pytest.raises(partway.PackageError, match="exported to OpenVINO IR, whose UNet nothing can guide"):
        opened(exported("sd1", "openvino", "fp32").folder).img2img(source(96, 64), PROMPT, control=control)
