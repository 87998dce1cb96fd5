"""Runs that ControlNets and T2I-Adapters guide, against diffusers' pipelines: same weights, same seed, same picture."""

import inspect
from functools import cache

import diffusers
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import adapter_files
import checkpoint_models
import partway
import stored
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
        parts["scheduler"] = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
        cls = getattr(diffusers, f"{cls}Pipeline")
        taken = inspect.signature(cls.__init__).parameters
        pipe = cls(**{name: part for name, part in parts.items() if name in taken})
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
LONG = {**OURS, "steps": 24}


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


def test_tiles_reuse_segments_batches_and_a_memory_limit(models):
    """Each way of running gives nearly the picture that the plain way gives."""
    path, image = models("sd1") / "model.safetensors", source(128, 96)
    settings = {"strength": 0.5, **OURS, "control": partway.Control(models("sd1") / "control0.safetensors", scale=0.5)}
    whole = opened(path).img2img(image, PROMPT, **settings)

    def near(made, least, other=whole):
        error = np.mean(np.subtract(made.image, other.image, dtype=float) ** 2)
        return error == 0 or 10 * np.log10(255**2 / error) >= least

    assert near(opened(path, stream=True).img2img(image, PROMPT, **settings), 60)
    assert near(opened(path, batch=1).img2img(image, PROMPT, **settings), 60)
    limited = opened(path, memory_limit="330MB").img2img(image, PROMPT, **settings)
    assert limited.plan.peak_bytes <= 330e6 and near(limited, 45)
    reused = opened(path).img2img(image, PROMPT, reuse=0.9, **(settings | LONG))
    assert reused.plan.calls["control_0"] == reused.plan.calls["unet"] < reused.plan.steps_run
    assert near(reused, 20, opened(path).img2img(image, PROMPT, **(settings | LONG)))
    tiled = opened(path).img2img(image, PROMPT, tile=64, **settings)
    assert tiled.plan.calls["control_0"] == tiled.plan.calls["unet"] > whole.plan.calls["unet"]
    assert near(tiled, 12)


@pytest.mark.thorough
def test_a_static_graph(models):
    """Compiled for one size, the UNet that takes residuals gives the picture of the other engine's for any."""
    path, image = models("sd1") / "model.safetensors", source(128, 96)
    settings = {"strength": 0.5, **OURS, "control": partway.Control(models("sd1") / "control0.safetensors", scale=0.5)}
    fixed = opened(path, "openvino", static=True).img2img(image, PROMPT, **settings)
    assert_same(fixed.images, opened(path).img2img(image, PROMPT, **settings).images)


def test_beside_a_lora(models, tmp_path):
    """Both change the picture; the ControlNet stays loaded while adapters come and go, and what is left out is gone."""
    rng = np.random.default_rng(0)
    tensors, _ = adapter_files.lora(rng, (32, 32, 1, 1))
    layer = "lora_unet_down_blocks_0_attentions_0_proj_in"
    stored.write(tmp_path / "lora.safetensors", {f"{layer}.{name}": array for name, array in tensors.items()})
    pipe = opened(models("sd1") / "model.safetensors")

    def made(**more):
        return np.asarray(pipe.img2img(source(96, 64), PROMPT, strength=0.5, **OURS, **more).image, float)

    control, loras = partway.Control(models("sd1") / "control0.safetensors"), {tmp_path / "lora.safetensors": 30.0}
    guided = made(control=control)
    engine = pipe.adapted.engine("control_0")
    both, adapted = made(control=control, loras=loras), made(loras=loras)
    assert engine is not None and min(np.abs(both - other).mean() for other in (guided, adapted)) > 0.5
    made(control=control, loras=loras)
    engine = pipe.adapted.engine("control_0")
    assert np.array_equal(made(control=control), guided) and pipe.adapted.engine("control_0") is engine
    assert np.array_equal(made(), made()) and pipe.adapted.engine("control_0") is None


def test_an_exported_package(exported, models, tmp_path):
    """Its UNet takes residuals where a graph joins its skips, whole and shallow; IR is refused."""
    folder = exported("sd1", "onnx", "fp32", split=True).folder
    base = diffusers.UNet2DConditionModel.from_config(partway.load(folder).package.config("unet"))
    net = loud(diffusers.ControlNetModel.from_unet(base, load_weights_from_unet=False), 3)
    save_file(net.state_dict(), tmp_path / "control.safetensors")
    control = partway.Control(tmp_path / "control.safetensors", kind="canny")
    made = [
        opened(folder, engine).img2img(source(96, 64), PROMPT, strength=0.5, control=control, reuse=reuse, **LONG)
        for engine, reuse in (("onnxruntime", 0), ("openvino", 0), ("onnxruntime", 0.9))
    ]
    plain = opened(folder).img2img(source(96, 64), PROMPT, strength=0.5, **LONG)
    assert_same(made[1].images, made[0].images)
    assert np.abs(np.subtract(made[0].image, plain.image, dtype=float)).mean() > 2
    assert made[2].plan.calls["unet_shallow"]
    with pytest.raises(partway.PackageError, match="exported to OpenVINO IR, whose UNet nothing can guide"):
        opened(exported("sd1", "openvino", "fp32").folder, "openvino").img2img(source(96, 64), PROMPT, control=control)


@pytest.fixture(scope="module")
def image_prompts(models, tmp_path_factory):
    """``image_prompts(kind)``: a folder with a small encoder of pictures, and IP-Adapters in its authors' names."""
    root = tmp_path_factory.mktemp("ip")

    @cache
    def get(kind):
        folder = root / kind
        torch.manual_seed(4)
        config = transformers.CLIPVisionConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, image_size=48,
            patch_size=8, projection_dim=40, hidden_act="gelu",
        )  # fmt: skip
        loud(transformers.CLIPVisionModelWithProjection(config), 5).save_pretrained(folder / "image_encoder")
        unet = diffusers.UNet2DConditionModel.from_pretrained(models(kind) / "folder/unet")
        text = unet.config.cross_attention_dim
        attending = [name for name in unet.attn_processors if "attn2" in name]
        generator = torch.Generator().manual_seed(6)

        def normal(*shape):
            return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

        layers = {}
        for index, name in enumerate(attending):
            width = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            for one in ("to_k_ip", "to_v_ip"):
                layers[f"ip_adapter.{2 * index + 1}.{one}.weight"] = 3 * normal(width, text)
        base = {"image_proj.proj.weight": normal(4 * text, 40), "image_proj.proj.bias": normal(4 * text)}
        base |= {"image_proj.norm.weight": 1 + normal(text), "image_proj.norm.bias": normal(text)}
        plus = {"image_proj.latents": normal(1, 16, 64), "image_proj.proj_in.weight": normal(64, 64)}
        plus |= {"image_proj.proj_in.bias": normal(64), "image_proj.proj_out.weight": normal(text, 64)}
        plus |= {"image_proj.proj_out.bias": normal(text), "image_proj.norm_out.bias": normal(text)}
        plus |= {"image_proj.norm_out.weight": 1 + normal(text)}
        for index in range(4):
            name = f"image_proj.layers.{index}"
            plus |= {f"{name}.0.{one}.weight": 1 + normal(64) for one in ("norm1", "norm2")}
            plus |= {f"{name}.0.{one}.bias": normal(64) for one in ("norm1", "norm2")}
            plus |= {f"{name}.0.to_q.weight": 2 * normal(64, 64), f"{name}.0.to_kv.weight": 2 * normal(128, 64)}
            plus |= {f"{name}.0.to_out.weight": normal(64, 64), f"{name}.1.0.weight": 1 + normal(64)}
            plus |= {f"{name}.1.0.bias": normal(64), f"{name}.1.1.weight": normal(256, 64)}
            plus |= {f"{name}.1.3.weight": normal(64, 256)}
        save_file(base | layers, folder / "base.safetensors")
        save_file(plus | layers, folder / "plus.safetensors")
        return folder

    return get


@pytest.mark.parametrize(
    ("kind", "which", "engine", "scale"),
    [
        ("sd1", "base", "onnxruntime", 1.0),
        ("sd1", "base", "openvino", 0.6),
        ("sd1", "plus", "onnxruntime", 0.6),
        ("sdxl", "plus", "openvino", 1.0),
        ("sdxl", "base", "onnxruntime", 0.6),
    ],
)
def test_an_ip_adapter(models, theirs, image_prompts, kind, which, engine, scale):
    cls = f"StableDiffusion{'XL' if kind == 'sdxl' else ''}Img2Img"
    unet = diffusers.UNet2DConditionModel.from_pretrained(models(kind) / "folder/unet")  # which the adapter changes
    pipe = theirs(kind, cls, unet=unet)
    where = {"subfolder": "", "weight_name": f"{which}.safetensors", "image_encoder_folder": "image_encoder"}
    pipe.load_ip_adapter(str(image_prompts(kind)), **where)
    pipe.set_ip_adapter_scale(scale)
    image, shown = source(96, 64), source(80, 112)
    wanted = pipe(
        PROMPT, image=image, ip_adapter_image=shown, strength=0.5, generator=generator(), **THEIRS
    ).images  # fmt: skip
    mine = opened(models(kind) / "model.safetensors", engine)
    prompt = partway.IPAdapter(image_prompts(kind) / f"{which}.safetensors", shown, scale=scale)
    made = mine.img2img(image, PROMPT, strength=0.5, ip_adapter=prompt, **OURS)
    assert_same(made.images, wanted)
    assert (made.plan.calls["image_encoder"], made.plan.calls["image_adapter"]) == (1, 1)
    plain = mine.img2img(image, PROMPT, strength=0.5, **OURS)
    assert np.abs(np.subtract(made.image, plain.image, dtype=float)).mean() > 2


def test_all_at_once_and_reused(models, image_prompts):
    """A ControlNet, a T2I-Adapter and an IP-Adapter guide one run, also in its shallow steps and in segments."""
    path, image = models("sd1") / "model.safetensors", source(128, 64)
    controls = [partway.Control(models("sd1") / f"{name}.safetensors", scale=0.5) for name in ("control0", "adapter")]
    prompt = partway.IPAdapter(image_prompts("sd1") / "plus.safetensors", scale=0.5)
    settings = {**OURS, "strength": 1 / 3, "control": controls, "ip_adapter": prompt}
    whole = opened(path).img2img(image, PROMPT, **settings)
    streamed = opened(path, stream=True).img2img(image, PROMPT, **settings)
    assert_same(streamed.images, whole.images)
    reused = opened(path).img2img(image, PROMPT, reuse=0.9, **(settings | LONG | {"strength": 0.5}))
    assert reused.plan.calls["unet_shallow"] and reused.plan.calls["control_1"] == 1
