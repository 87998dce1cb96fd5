"""Prompts against diffusers: clip skip, two prompts, embeddings given, textual inversion, texts of several chunks.

Small random-weight models, as a file (whose networks are built) and exported; 50 dB in float32, on both engines. What
diffusers does not read itself it is given as embeddings, worked out here in float64 from its own text encoder.
"""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import checkpoint_models
import partway
from likeness import assert_same, source

ENGINES = ["onnxruntime", "openvino"]
PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light!", "dark photo"
EULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading"}
SETTINGS = {"steps": 4, "seed": 7, "sampler": "euler", "schedule": "leading", "strength": 0.5, "guidance_scale": 5.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    @cache
    def get(kind):
        folder = root / kind
        folder.mkdir()
        return checkpoint_models.build(folder, kind)

    return get


@pytest.fixture(scope="module")
def theirs():
    """``theirs(folder)``: a fresh pipeline of diffusers for pictures, of the folder that it saved."""

    @cache
    def parts(folder):
        return diffusers.DiffusionPipeline.from_pretrained(folder).components

    def get(folder):
        own = dict(parts(folder))
        own["scheduler"] = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
        xl = "text_encoder_2" in own
        if not xl:
            own["requires_safety_checker"] = False
        cls = diffusers.StableDiffusionXLImg2ImgPipeline if xl else diffusers.StableDiffusionImg2ImgPipeline
        pipe = cls(**own, **({"add_watermarker": False, "requires_aesthetics_score": False} if xl else {}))
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return get


@cache
def opened(path, engine):
    return partway.load(path, engine=engine)


def wanted(pipe, prompt=None, **settings):
    given = {"strength": 0.5, "num_inference_steps": 4, "guidance_scale": 5.0, **settings}
    return pipe(prompt, image=source(), generator=torch.Generator().manual_seed(7), **given).images


def ours(path, engine, prompt, **settings):
    return opened(path, engine).img2img(source(), prompt, **(SETTINGS | settings)).images


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_clip_skip(models, theirs, kind, engine):
    expected = wanted(theirs(models(kind) / "folder"), PROMPT, clip_skip=1, guidance_scale=1.0)
    for said in (1, -2, "a1111:2"):
        made = ours(models(kind) / "model.safetensors", engine, PROMPT, clip_skip=said, guidance_scale=1.0)
        assert_same(made, expected)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_clip_skip_of_an_exported_package(exported, tiny_model, theirs, form):
    expected = wanted(theirs(tiny_model("sd1")), PROMPT, clip_skip=1, guidance_scale=1.0)
    made = ours(exported("sd1", form, "fp32").folder, "auto", PROMPT, clip_skip=1, guidance_scale=1.0)
    assert_same(made, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_prompts(models, theirs, engine):
    two = {"prompt_2": "a wooden table", "negative_prompt": NEGATIVE, "negative_prompt_2": "sand"}
    expected = wanted(theirs(models("sdxl") / "folder"), PROMPT, **two)
    assert_same(ours(models("sdxl") / "model.safetensors", engine, PROMPT, **two), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_embeddings_in_place_of_a_prompt(models, theirs, kind, engine):
    pipe = theirs(models(kind) / "folder")
    width, pooled = pipe.unet.config.cross_attention_dim, {}
    rng = np.random.default_rng(5)
    arrays = {
        name: rng.normal(size=(1, 90, width)).astype(np.float32) for name in ("prompt_embeds", "negative_prompt_embeds")
    }
    if kind == "sdxl":
        names = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        pooled = {name: rng.normal(size=(1, 128)).astype(np.float32) for name in names}
    tensors = {name: torch.from_numpy(array) for name, array in {**arrays, **pooled}.items()}
    embeds = partway.Embeds(**arrays, **pooled)
    assert_same(ours(models(kind) / "model.safetensors", engine, embeds), wanted(pipe, **tensors))


def vectors(path, **tensors):
    save_file({name: torch.from_numpy(np.float32(10 * array)) for name, array in tensors.items()}, path)
    return str(path)


@pytest.mark.parametrize("engine", ENGINES)
def test_textual_inversion(models, theirs, tmp_path, engine):
    rng = np.random.default_rng(6)
    file = vectors(tmp_path / "film.safetensors", emb_params=rng.normal(size=(3, 64)))
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(models("sd1") / "folder")
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_textual_inversion(tensors(file)["emb_params"], token="<film>")
    texts = ("a room, <film>, warm light", "<film> dark")
    expected = wanted(pipe, texts[0], negative_prompt=texts[1])
    own = {"embeddings": {"<film>": file}, "negative_prompt": texts[1]}
    assert_same(ours(models("sd1") / "model.safetensors", engine, texts[0], **own), expected)
    named = {"embeddings": {"film": file}, "negative_prompt": "embedding:film dark", "prompt_syntax": "comfyui"}
    assert_same(
        ours(models("sd1") / "model.safetensors", engine, "a room, embedding:film , warm light", **named), expected
    )


def tensors(file):
    from safetensors.torch import load_file

    return load_file(file)


@pytest.mark.parametrize("engine", ENGINES)
def test_textual_inversion_of_two_text_encoders(models, theirs, tmp_path, engine):
    rng = np.random.default_rng(7)
    both = {"clip_l": rng.normal(size=(2, 64)), "clip_g": rng.normal(size=(2, 128))}
    file = vectors(tmp_path / "film.safetensors", **both)
    pipe = diffusers.StableDiffusionXLImg2ImgPipeline.from_pretrained(
        models("sdxl") / "folder", add_watermarker=False, requires_aesthetics_score=False
    )
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
    pipe.set_progress_bar_config(disable=True)
    for name, encoder, tokenizer in (
        ("clip_l", pipe.text_encoder, pipe.tokenizer),
        ("clip_g", pipe.text_encoder_2, pipe.tokenizer_2),
    ):
        vector = tensors(file)[name]
        pipe.load_textual_inversion(vector, token="<film>", text_encoder=encoder, tokenizer=tokenizer)
    text = "a room, <film>, warm light"
    expected = wanted(pipe, text, negative_prompt=NEGATIVE)
    own = {"embeddings": {"<film>": file}, "negative_prompt": NEGATIVE}
    assert_same(ours(models("sdxl") / "model.safetensors", engine, text, **own), expected)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("engine", ENGINES)
def test_textual_inversion_of_an_exported_package(exported, tiny_model, tmp_path, form, engine):
    if (form, engine) == ("openvino", "onnxruntime"):
        engine = "auto"
    file = vectors(tmp_path / "film.safetensors", emb_params=np.random.default_rng(6).normal(size=(3, 32)))
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
        tiny_model("sd1"), safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_textual_inversion(tensors(file)["emb_params"], token="<film>")
    expected = wanted(pipe, "a room, <film>", negative_prompt=NEGATIVE)
    own = {"embeddings": {"<film>": file}, "negative_prompt": NEGATIVE}
    assert_same(ours(exported("sd1", form, "fp32").folder, engine, "a room, <film>", **own), expected)


@pytest.fixture(scope="module")
def encoded(models, theirs):
    """``encoded(ids)``: tokens (1, 77, D) of diffusers' own text encoder, for ids without begin and end."""
    pipe = theirs(models("sd1") / "folder")
    begin, end = pipe.tokenizer.bos_token_id, pipe.tokenizer.eos_token_id

    def get(text):
        ids = pipe.tokenizer(text, add_special_tokens=False)["input_ids"] if isinstance(text, str) else text
        row = [begin, *ids, end, *[end] * (75 - len(ids))]
        with torch.no_grad():
            return pipe.text_encoder(torch.tensor([row])).last_hidden_state.numpy().astype(np.float64)

    return get


def weighted(rows, weights):
    """Weights of a chunk's tokens, 1 for begin, end and padding."""
    return np.array([1, *weights, *[1] * (76 - len(weights))])[None, :, None]


def as_embeds(positive, negative):
    names = ("prompt_embeds", "negative_prompt_embeds")
    return {name: torch.from_numpy(np.float32(one)) for name, one in zip(names, (positive, negative), strict=True)}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_prompt_of_two_chunks_with_weights_as_a1111_reads_it(models, theirs, encoded, engine):
    long = ["cat"] * 80
    first, second = encoded(" ".join(long[:75])), encoded(" ".join([*long[75:], "room"]))
    made = second * weighted(second, [1] * 5 + [1.5])
    second = made * second.mean() / made.mean()
    positive, negative = np.concatenate([first, second], axis=1), np.tile(encoded(NEGATIVE), (1, 2, 1))
    expected = wanted(theirs(models("sd1") / "folder"), **as_embeds(positive, negative))
    own = {"negative_prompt": NEGATIVE, "prompt_syntax": "a1111"}
    file = models("sd1") / "model.safetensors"
    assert_same(ours(file, engine, f"{' '.join(long)} (room:1.5)", **own), expected)


def test_weights_as_comfyui_reads_them(models, theirs, encoded):
    tokens, empty = encoded("a room"), encoded("")
    positive = (tokens - empty) * weighted(tokens, [1, -0.5]) + empty
    expected = wanted(theirs(models("sd1") / "folder"), **as_embeds(positive, encoded(NEGATIVE)))
    own = {"negative_prompt": NEGATIVE, "prompt_syntax": "comfyui"}
    assert_same(ours(models("sd1") / "model.safetensors", "onnxruntime", "a (room:-0.5)", **own), expected)


def test_weights_and_blends_as_compel_reads_them(models, theirs, encoded):
    empty, whole, without = encoded(""), encoded("a red room"), encoded("a room")
    fewer = empty + (whole - empty) * weighted(whole, [1, 0.5, 1])  # a red room, red at 0.5: half of each
    blend = 0.25 * (fewer + without) / 2 + 0.75 * (empty + (encoded("sand") - empty) * weighted(empty, [1.1]))
    positive = np.concatenate([blend], axis=1)
    expected = wanted(theirs(models("sd1") / "folder"), **as_embeds(positive, encoded(NEGATIVE)))
    own = {"negative_prompt": NEGATIVE, "prompt_syntax": "compel"}
    text = '("a (red)0.5 room", "sand+").blend(1, 3)'
    assert_same(ours(models("sd1") / "model.safetensors", "onnxruntime", text, **own), expected)
    both = np.concatenate([encoded("a room"), empty + 0.5 * (encoded("sand") - empty)], axis=1)
    filled = np.concatenate([encoded(NEGATIVE), empty], axis=1)
    expected = wanted(theirs(models("sd1") / "folder"), **as_embeds(both, filled))
    text = '("a room", "sand").and(1, 0.5)'
    assert_same(ours(models("sd1") / "model.safetensors", "onnxruntime", text, **own), expected)


def test_prompts_that_are_joined(models, theirs, encoded):
    file = models("sd1") / "model.safetensors"
    joined = ours(file, "onnxruntime", "a room AND sand:0", prompt_syntax="a1111")
    assert_same(joined, ours(file, "onnxruntime", "a room", prompt_syntax="a1111"))
    twice = ours(file, "onnxruntime", "a room AND a room", prompt_syntax="a1111", guidance_scale=2.5)
    assert_same(twice, ours(file, "onnxruntime", "a room"))
    weighed = ours(file, "onnxruntime", "a room:2", prompt_syntax="a1111", guidance_scale=2.5)
    assert_same(weighed, ours(file, "onnxruntime", "a room"))
