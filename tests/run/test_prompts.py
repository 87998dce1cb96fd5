"""Prompts of every syntax on a toy model: what a run reads, plans and refuses."""

from importlib.util import find_spec

import numpy as np
import pytest

import partway
import stored
import toy
from partway import InputError, PackageError, PartwayWarning
from partway.model.conditions import guidance_mode
from partway.settings import Settings

RUN = {"width": 16, "height": 16, "steps": 4}
LONG = "cat " * 60  # letters, of which the toy's words are made


def pixels(pipe, prompt, **settings):
    return np.asarray(pipe.txt2img(prompt, **{**RUN, **settings}).image)


def test_plain_text_is_the_default(pipe):
    np.testing.assert_array_equal(pixels(pipe, "a (cat:1.3)"), pixels(pipe, "a (cat:1.3)", prompt_syntax="plain"))
    for syntax in ("a1111", "comfyui", "compel"):
        np.testing.assert_array_equal(pixels(pipe, "a cat", prompt_syntax=syntax), pixels(pipe, "a cat"))


@pytest.mark.parametrize(
    ("syntax", "text"), [("a1111", "a [cat]"), ("comfyui", "a (cat:1.4)"), ("compel", "a cat--"), ("a1111", "(a:0)")]
)
def test_weights_change_the_picture(pipe, syntax, text):
    assert (pixels(pipe, text, prompt_syntax=syntax, guidance_scale=9) != pixels(pipe, "a cat", guidance_scale=9)).any()


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("plain", "a cat"),
        ("plain", "cat and dog"),
        ("a1111", LONG),
        ("a1111", "a BREAK (b:1.5) BREAK c"),
        ("a1111", "[a:b:0.5] [c|d]"),
        ("a1111", "a AND b AND c"),
        ("comfyui", f"(a:1.3) {LONG}"),
        ("compel", '("a (b)0.5", "c").blend(1, 2)'),
        ("compel", f'("{LONG}", "c").and()'),
    ],
)
def test_the_text_encoder_is_called_as_planned(counted, syntax, text):
    pipe, engine = counted
    settings = {"prompt_syntax": syntax, "negative_prompt": "dog", **RUN}
    plan = pipe.plan(prompt=text, image=False, **settings)
    result = pipe.txt2img(text, **settings)
    assert result.plan == plan
    assert engine.calls == {name: count for name, count in plan.calls.items() if count}


def test_a_long_prompt_is_read_whole_or_said_to_be_cut(pipe):
    with pytest.warns(PartwayWarning, match="too long"):
        cut = pipe.txt2img(LONG, **RUN)
    whole = pipe.txt2img(LONG, prompt_syntax="comfyui", **RUN)
    assert cut.plan.unread and not whole.plan.unread
    assert (np.asarray(cut.image) != np.asarray(whole.image)).any()


def test_a_text_that_changes_is_another_from_its_step_on(pipe):
    a, b = (pixels(pipe, text) for text in ("aaa", "bbb"))
    for text, same in (("[aaa:bbb:1.0]", a), ("[aaa:bbb:0]", b), ("[aaa:bbb:4]", a), ("[aaa|aaa]", a)):
        np.testing.assert_array_equal(pixels(pipe, text, prompt_syntax="a1111"), same)
    switched = pixels(pipe, "[aaa:bbb:2]", prompt_syntax="a1111")
    assert (switched != a).any() and (switched != b).any()
    np.testing.assert_array_equal(pixels(pipe, "[aaa:bbb:0.5]", prompt_syntax="a1111"), switched)


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "euler_a", "restart"])
def test_texts_change_with_steps_and_not_with_evaluations(pipe, sampler):
    steps = [pipe.stream(text, prompt_syntax="a1111", sampler=sampler, **RUN) for text in ("[aaa:bbb:2]", "aaa")]
    (_, first, *_), (_, other, *_) = (list(run) for run in steps)
    np.testing.assert_array_equal(first.denoised, other.denoised)


def test_joined_prompts_make_a_prediction_each(pipe):
    plan = pipe.plan(prompt="a AND b", image=False, prompt_syntax="a1111", sampler="euler", **RUN)
    assert (plan.predictions, plan.rows["unet"]) == (3, 12)
    assert pipe.plan(prompt="a AND b", image=False, **RUN).predictions == 2
    mean = pixels(pipe, "a AND a", prompt_syntax="a1111", guidance_scale=1)
    assert np.abs(mean.astype(int) - pixels(pipe, "a", guidance_scale=1)).max() <= 1


def test_joined_predictions_against_their_formula():
    rng = np.random.default_rng(0)
    start, *each = rng.normal(size=(3, 1, 4, 8, 8)).astype(np.float32)
    how = guidance_mode("pair", (0.5, -2.0))
    made = how.combine([start, *each], Settings(guidance_scale=3.0), 1.0)
    expected = start + 3.0 * (0.5 * (each[0] - start) - 2.0 * (each[1] - start))
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="instructions cannot be joined"):
        guidance_mode("instruction", (1.0, 1.0))


def test_embeddings_in_place_of_a_prompt(pipe):
    rng = np.random.default_rng(1)
    tokens = rng.normal(size=(77, toy.WIDTH)).astype(np.float32)
    given = partway.Embeds(tokens, negative_prompt_embeds=tokens[None])
    np.testing.assert_array_equal(pixels(pipe, given), pixels(pipe, given, guidance_scale=3.0))
    assert pipe.plan(prompt=given, image=False, **RUN).calls["text_encoder"] == 0
    half = partway.Embeds(tokens)
    assert pipe.txt2img(half, negative_prompt="dog", **RUN).plan.calls["text_encoder"] >= 1
    for wrong, said in (
        (partway.Embeds(tokens, negative_prompt_embeds=tokens[:70]), "77 tokens and negative_prompt_embeds 70"),
        (partway.Embeds(tokens, tokens[0]), "takes no pooled embeddings"),
        (partway.Embeds(tokens * np.nan), "finite"),
        (partway.Embeds(tokens[:70]), "70 tokens, and the negative prompt a multiple of 77"),
        (partway.Embeds(tokens[0]), "not 8|1xNx"),
    ):
        with pytest.raises(InputError, match=said):
            pipe.txt2img(wrong, **RUN)


@pytest.mark.parametrize(
    "engine",
    [
        "onnxruntime",
        pytest.param(
            "openvino", marks=pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")
        ),
    ],
)
def test_an_embedding_stands_for_its_vectors(toy_folder, tmp_path, engine):
    pipe = partway.load(toy_folder, engine=engine)
    plain = pixels(pipe, "a film b")
    vectors = np.random.default_rng(2).normal(size=(2, toy.WIDTH)).astype(np.float32)
    stored.write(tmp_path / "film.safetensors", {"emb_params": vectors})
    embeddings = {"film": tmp_path / "film.safetensors"}
    made = pixels(pipe, "a film b", embeddings=embeddings)
    assert (made != plain).any()
    for syntax, text in (("a1111", "a FILM b"), ("compel", "a film b"), ("comfyui", "a embedding:film b")):
        np.testing.assert_array_equal(pixels(pipe, text, embeddings=embeddings, prompt_syntax=syntax), made)
    np.testing.assert_array_equal(pixels(pipe, "a film b"), plain)  # taken away without a trace
    np.testing.assert_array_equal(pixels(pipe, "a b", embeddings=embeddings), pixels(pipe, "a b"))


def test_what_a_prompt_names_and_cannot_have_is_said(pipe):
    with pytest.warns(PartwayWarning, match="embedding:none. is left out"):
        pipe.txt2img("a embedding:none b", prompt_syntax="comfyui", **RUN)
    with pytest.warns(PartwayWarning, match="swap"):
        pipe.txt2img("a cat.swap(dog)", prompt_syntax="compel", **RUN)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prompt_syntax": "a1112"}, "a1111"),
        ({"clip_skip": -102}, "clip_skip must be"),
        ({"clip_skip": "a1111:0"}, "clip_skip must be"),
        ({"clip_skip": 1.5}, "clip_skip must be"),
        ({"embeddings": "film.safetensors"}, "embeddings are named"),
        ({"embeddings": {"": "film.safetensors"}}, "embeddings are named"),
        ({"prompt_2": "b"}, "prompt_2 is for models of two text encoders"),
        ({"prompt_2": 3}, "prompt_2 must be text"),
    ],
)
def test_what_cannot_be_is_one_line(pipe, settings, said):
    with pytest.raises(InputError, match=said) as caught:
        pipe.txt2img("a", **RUN, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "means"), [(0, 0), (1, 1), ("1", 1), (-1, 0), (-2, 1), ("a1111:1", 0), ("A1111:2", 1)]
)
def test_layers_are_counted_as_each_tool_does(said, means):
    assert Settings(clip_skip=said).clip_skip == means


def test_a_text_encoder_without_hidden_states_says_so(pipe):
    with pytest.raises(partway.PartwayError, match="gives no hidden states, which SDXL and clip_skip need"):
        pipe.txt2img("a", clip_skip=1, **RUN)


def test_a_unet_of_one_length_says_so(tmp_path):
    pipe = partway.load(toy.build(tmp_path / "toy", tokens=77))
    pipe.txt2img("a", prompt_syntax="a1111", **RUN)
    with pytest.raises(InputError, match="takes 77 tokens and no more, and here are 231"):
        pipe.txt2img(LONG, prompt_syntax="a1111", **RUN)


def test_an_embedding_of_another_family_is_told_with_both_numbers(pipe, tmp_path):
    stored.write(
        tmp_path / "a.safetensors", {"clip_l": np.ones((1, 768), np.float32), "clip_g": np.ones((1, 1280), np.float32)}
    )
    with pytest.raises(PackageError, match="vectors of 768 and 1280 numbers where this model's take"):
        pipe.txt2img("a", embeddings={"a": tmp_path / "a.safetensors"}, **RUN)
