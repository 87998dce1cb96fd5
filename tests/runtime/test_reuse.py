"""Step reuse: shallow evaluations on deep features that were kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partway
from partway.denoising import denoiser
from partway.engines.timed import Timed
from partway.levels import NoiseLevel
from partway.networks import Context
from partway.reuse import Reuse


@pytest.fixture(scope="module")
def split(split_folder):
    return partway.load(split_folder)


def grid(timestep, rows=2):
    """Features of one tile that are their timestep."""
    return np.full((rows, 1, 2, 2), timestep, np.float32)


def test_features_are_kept_for_a_share_of_the_way_and_no_longer():
    reuse = Reuse(0.2, 1000)
    whole = {}
    for timestep in range(950, 0, -50):
        whole[timestep] = reuse.begin(timestep, 2)
        if whole[timestep]:
            reuse.keep(grid(timestep))
    # a fifth of the way from 1000 is two steps of 50 at the middle, and from 250 on three; above 600 it is none
    assert [timestep for timestep in whole if whole[timestep]] == [950, 900, 850, 800, 750, 700, 650, 550, 400, 200]
    assert [Reuse(0).begin(timestep, 2) for timestep in (5, 5)] == [True, True]


def test_one_whole_evaluation_leaves_its_features_as_they_are():
    reuse = Reuse(0.5)
    reuse.begin(500, 2)
    reuse.keep(grid(500))
    reuse.begin(450, 2)
    assert np.array_equal(reuse.take(2), grid(500))


def test_the_last_rows_are_the_prompts_and_more_views_need_a_whole_evaluation():
    reuse = Reuse(1)
    reuse.begin(500, 2)
    reuse.keep(np.concatenate([grid(1, rows=1), grid(2, rows=1)]))
    assert not reuse.begin(450, 1)
    assert np.array_equal(reuse.take(1), grid(2, rows=1))
    assert reuse.begin(400, 3)


def test_shallow_evaluations_are_of_the_prompt_alone_and_add_the_kept_guidance(pipe):
    """Networks that answer what they are told, 1 for the negative prompt, 2 for the prompt, and 10 more if shallow."""

    class Answering:
        def predict(self, x, timestep, told, guidance_scale, reuse):
            seen.append((reuse.whole, len(x)))
            return np.ones_like(x) * told.tokens[:, :1, None, None] + 10 * (not reuse.whole)

    seen, networks = [], Answering()
    networks.package = pipe.package
    context = Context(np.float32([[1.0], [2.0]]), None, None)
    chosen = pipe.package.settings({"guidance_scale": 3.0, "reuse": 0.5})
    denoise = denoiser(networks, context, chosen)
    x, levels = np.zeros((1, 4, 2, 2), np.float32), [NoiseLevel(1.0, 500.0), NoiseLevel(0.9, 450.0)]
    guided = [-denoise(x, level)[0, 0, 0, 0] / level.sigma for level in levels]
    assert seen == [(True, 2), (False, 1)]
    assert guided == pytest.approx([1 + 3 * (2 - 1), 12 + 2 * (2 - 1)])
    # a sampler that pushes harder in this step than in the whole one
    assert -denoise(x, levels[1], 2.0)[0, 0, 0, 0] / 0.9 == pytest.approx(11 + 6 * (2 - 1))


@given(st.floats(0, 1), st.integers(1, 12), st.sampled_from(sorted(partway.SAMPLERS)), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_plan_counts_both_kinds_of_evaluation(split, strength, steps, sampler, reuse):
    engine = Timed(split.engine)
    pipe = partway.Pipeline(split.package, engine, split.tokenizers)
    source = np.full((8, 16, 3), 99, np.uint8)
    run = pipe.stream("a room", source, strength=strength, steps=steps, sampler=sampler, reuse=reuse)
    result = run.result()
    assert engine.calls.get("unet", 0) == run.plan.calls["unet"]
    assert engine.calls.get("unet_shallow", 0) == run.plan.calls.get("unet_shallow", 0)
    assert run.plan.network_calls == run.plan.calls["unet"] + run.plan.calls.get("unet_shallow", 0)
    if strength == 0:
        assert np.array_equal(np.asarray(result.image), source)


def test_without_reuse_the_split_changes_no_byte(pipe, split, picture):
    same = {"strength": 0.7, "steps": 8}
    assert pipe.img2img(picture, "a", **same).image.tobytes() == split.img2img(picture, "a", **same).image.tobytes()


def test_strength_1_is_text_to_image(split, picture):
    restyled = split.img2img(picture, "a room", strength=1, reuse=0.2).image
    made = split.txt2img("a room", width=picture.width, height=picture.height, reuse=0.2).image
    assert restyled.tobytes() == made.tobytes()


def test_little_reuse_changes_little(split, picture):
    def apart(reuse):
        made = split.img2img(picture, "a room", strength=0.8, steps=40, sampler="euler", reuse=reuse).image
        return np.abs(np.asarray(made, float) - np.asarray(exact, float)).mean()

    exact = split.img2img(picture, "a room", strength=0.8, steps=40, sampler="euler").image
    assert 0 < apart(0.05) < apart(0.3) < 40


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("options", [{}, {"tile": 32, "tile_overlap": 8}, {"guidance_max_sigma": 2.0}], ids=str)
def test_every_row_and_tile_gets_its_own_features(split_folder, picture, engine, options):
    pytest.importorskip(engine)
    same = {"strength": 0.8, "steps": 10, "reuse": 0.3} | options
    pipe = partway.load(split_folder, engine=engine)
    batch = pipe.img2img(picture, "a room", seed=(3, 4), **same)
    assert batch.plan.calls["unet_shallow"] > batch.plan.calls["unet"] / 2
    one_by_one = partway.load(split_folder, engine=engine, batch=1)
    for image, seed in zip(batch.images, (3, 4), strict=True):
        alone = one_by_one.img2img(picture, "a room", seed=seed, **same).image
        assert np.abs(np.asarray(image, int) - np.asarray(alone, int)).max() <= (engine == "openvino")


def test_a_model_that_was_not_split_says_so(pipe, picture):
    with pytest.raises(partway.InputError, match="has no shallow graph"):
        pipe.img2img(picture, "a room", reuse=0.1)
    assert pipe.img2img(picture, "a room", reuse=0, strength=0.2)
