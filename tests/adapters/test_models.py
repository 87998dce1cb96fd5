"""A model with an adapter is the model whose file has the changed weights; and without it, it is what it was."""

from dataclasses import replace

import numpy as np
import pytest

import adapter_files
import checkpoint_shapes as small
import partway
import stored
from likeness import source

ENGINES = ["onnxruntime", "openvino"]
REST = [("sd1", np.float16), ("xl", np.float32)]
SETTINGS = {"steps": 4, "strength": 0.5, "sampler": "euler", "schedule": "leading", "seed": 3, "guidance_scale": 3.0}
SELF = "text_model_encoder_layers_1_self_attn"
MODELS = {  # by the kind: its shapes; changed layers as a file's name, the model's own, and which third of its rows
    "sd1": (
        small.sd1(),
        {
            "lora_unet_down_blocks_0_resnets_0_conv1": ("model.diffusion_model.input_blocks.1.0.in_layers.2", None),
            "lora_unet_down_blocks_0_attentions_0_proj_in": ("model.diffusion_model.input_blocks.1.1.proj_in", None),
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k": (
                "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k",
                None,
            ),
            "lora_unet_time_embedding_linear_1": ("model.diffusion_model.time_embed.0", None),
            f"lora_te_{SELF}_q_proj": (
                "cond_stage_model.transformer.text_model.encoder.layers.1.self_attn.q_proj",
                None,
            ),
        },
    ),
    "xl": (
        small.xl(),
        {
            "lora_unet_input_blocks_1_1_transformer_blocks_0_ff_net_0_proj": (
                "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.ff.net.0.proj",
                None,
            ),
            f"lora_te1_{SELF}_out_proj": (
                "conditioner.embedders.0.transformer.text_model.encoder.layers.1.self_attn.out_proj",
                None,
            ),
            f"lora_te2_{SELF}_k_proj": ("conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight", 1),
            "lora_te2_text_projection": ("conditioner.embedders.1.model.text_projection", None),
        },
    ),
}


def arrays_of(shapes, dtype):
    rng = np.random.default_rng(0)
    return {
        name: (rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(dtype)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """``files(kind, dtype)``: a model's file, an adapter's, and that of the model with the changed weights."""
    made = {}

    def get(kind, dtype):
        if (kind, dtype) not in made:
            made[kind, dtype] = build(tmp_path_factory.mktemp("model"), *MODELS[kind], dtype)
        return made[kind, dtype]

    return get


def build(root, shapes, changed, dtype):
    arrays, tensors = arrays_of(shapes, dtype), {}
    merged = {name: array.astype(np.float32) for name, array in arrays.items()}
    rng = np.random.default_rng(1)
    for name, (own, third) in changed.items():
        key = own if own in merged else f"{own}.weight"
        whole = merged[key]
        rows = slice(None) if third is None else slice(third * len(whole) // 3, (third + 1) * len(whole) // 3)
        part = whole[rows].astype(np.float64)
        turned = key.endswith("text_projection")
        base = part.T if turned else part
        lora, delta = adapter_files.lora(rng, base.shape, size=0.5 * float(base.std()))
        moved = base + 0.8 * delta(base)
        whole[rows] = moved.T if turned else moved
        tensors |= {f"{name}.{end}": one for end, one in lora.items()}
    return (
        stored.write(root / "model.safetensors", arrays),
        stored.write(root / "film.safetensors", tensors),
        stored.write(root / "merged.safetensors", merged),
    )


def made(path, engine, **settings):
    return np.asarray(
        partway.load(path, engine=engine).img2img(source(), "a room", **SETTINGS, **settings).image, float
    )


@pytest.mark.parametrize(
    ("kind", "dtype", "engine"),
    [
        *(("sd1", np.float32, engine) for engine in ENGINES),
        *((kind, dtype, ENGINES[0]) for kind, dtype in REST),
        *(pytest.param(kind, dtype, ENGINES[1], marks=pytest.mark.thorough) for kind, dtype in REST),
    ],
)
def test_it_is_the_model_with_the_changed_weights(files, kind, dtype, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    model, lora, merged = files(kind, dtype)
    plain, ours, wanted = made(model, engine), made(model, engine, loras={lora: 0.8}), made(merged, engine)
    assert np.mean((plain - wanted) ** 2) > 5
    assert np.mean((ours - wanted) ** 2) < 0.05


def test_it_leaves_no_trace(files):
    model, lora, _ = files("sd1", np.float32)
    pipe = partway.load(model)

    def picture(**settings):
        return np.asarray(pipe.img2img(source(), "a room", **SETTINGS, **settings).image)

    before, changed = picture(), picture(loras={lora: 0.8})
    assert (before != changed).any()
    assert (picture(loras={lora: 0.0}) == before).all()
    assert (picture(loras={lora: 0.8}) == changed).all()
    assert (picture() == before).all()


def test_only_what_changes_is_loaded_again(files):
    """ONNX Runtime keeps even what changes: it is given other numbers."""
    model, lora, _ = files("sd1", np.float32)
    pipe, pictures = partway.load(model, engine="onnxruntime"), []
    engines = []
    for text in (0.8, 0.8, 0.2, 0.8):
        result = pipe.img2img(source(), "a room", loras={lora: {"unet": 0.3 + text, "text": text}}, **SETTINGS)
        pictures.append(np.asarray(result.image))
        engines.append(pipe.adapted.engine("text_encoder"))
    assert engines[0] is not None and all(one is engines[0] for one in engines)
    first, again, other, back = pictures
    assert (first == again).all() and (first == back).all() and (first != other).any()
    pipe.img2img(source(), "a room", **SETTINGS)
    assert pipe.adapted.engine("unet") is None


def test_a_run_keeps_its_adapters_while_another_has_others(files):
    model, lora, _ = files("sd1", np.float32)
    pipe = partway.load(model, engine="onnxruntime")

    def picture(run):
        return np.asarray(run.result().image)

    alone = picture(pipe.stream("a room", source(), loras={lora: 0.8}, **SETTINGS))
    one = pipe.stream("a room", source(), loras={lora: 0.8}, **SETTINGS)
    next(iter(one))
    other = picture(pipe.stream("a room", source(), loras={lora: 0.2}, **SETTINGS))
    assert (picture(one) == alone).all() and (other != alone).any()


def test_reuse_and_streaming_have_it_too(files):
    model, lora, _ = files("sd1", np.float32)
    settings = {**SETTINGS, "loras": {lora: 0.8}}
    whole, streamed = (
        np.asarray(partway.load(model, stream=stream).img2img(source(), "a room", **settings).image, float)
        for stream in (False, True)
    )
    assert np.mean((whole - streamed) ** 2) < 0.05
    pipe = partway.load(model)
    settings |= {"steps": 8, "reuse": 0.9}
    with_it = pipe.img2img(source(), "a room", **settings)
    without = pipe.img2img(source(), "a room", **{**settings, "loras": ()})
    assert with_it.plan.calls["unet_shallow"] > 0
    assert (np.asarray(with_it.image) != np.asarray(without.image)).any()


def test_a_pipeline_may_always_have_one_and_a_run_another(files):
    model, lora, _ = files("sd1", np.float32)
    always = partway.load(model, loras={lora: 0.8})
    settings = always.package.settings({})
    assert settings.adapters == (partway.Lora(lora, 0.8),)
    assert always.package.settings({"loras": ()}).adapters == ()
    assert replace(settings, seed=4).adapters == settings.adapters


def test_a_distilled_one_brings_its_settings(files, tmp_path):
    model, lora, _ = files("sd1", np.float32)
    lcm = tmp_path / "lcm.safetensors"
    lcm.write_bytes(lora.read_bytes())
    pipe = partway.load(model)
    plan = pipe.plan(loras={lcm: 1.0}, strength=0.5)
    assert (plan.sampler, plan.steps, plan.network_calls, plan.guided_calls) == ("lcm", 4, 2, 0)
    assert pipe.plan(loras={lcm: 1.0}, steps=8).steps == 8
    assert pipe.plan().sampler != "lcm"


def test_one_of_another_family_is_refused_before_anything_runs(files):
    model, _, _ = files("sd1", np.float32)
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors, _ = adapter_files.lora(np.random.default_rng(0), (128, 2048))
    film = stored.write(model.parent / "xl.safetensors", {f"{name}.{end}": one for end, one in tensors.items()})
    with pytest.raises(partway.PackageError, match=r"xl.safetensors is for SDXL .*2048.*this model is .*64"):
        partway.load(model, loras={film: 1.0})
