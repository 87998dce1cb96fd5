"""Step reuse: shallow evaluations on deep features that were kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partway
from partway.diffusion.levels import NoiseLevel
from partway.diffusion.reuse import Reuse
from partway.engines.timed import Timed
from partway.model.conditions import GUIDANCE_MODES
from partway.model.encoders import Conditionings
from partway.model.networks import Conditioning
from partway.run.denoising import denoiser
from partway.run.evaluations import Evaluations


@pytest.fixture(scope="module")
def split(split_folder):
    return partway.load(split_folder)


def grid(timestep, rows=2):
    """Features of one tile that are their timestep."""
    return np.full((rows, 1, 2, 2), timestep, np.float32)


def evaluations(reuse, timesteps, predictions=2):
    """What each does, by its timestep: "full", or how many predictions it makes on features that were kept."""
    did = {}
    for timestep in timesteps:
        made = reuse.begin(timestep, predictions)
        did[timestep] = "full" if reuse.full else made
        if reuse.full:
            reuse.keep(grid(timestep))
    return did


def test_features_are_kept_for_a_share_of_the_way_and_no_longer():
    did = evaluations(Reuse(0.2), range(950, 0, -50))
    # a fifth of the way from 1000 is two steps of 50 at the middle, and from 250 on three; above 600 it is none
    whole = [timestep for timestep, what in did.items() if what == "full"]
    assert whole == [950, 900, 850, 800, 750, 700, 650, 550, 400, 200]
    assert set(evaluations(Reuse(0), range(950, 0, -50)).values()) == {"full"}


def test_what_guidance_adds_is_kept_for_half_as_long():
    assert evaluations(Reuse(0.4), range(500, 0, -50)) == {
        500: "full", 450: 1, 400: 1, 350: 2, 300: 1, 250: "full", 200: 1, 150: 1, 100: 2, 50: 1,
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.2, 0.3, 1])
@pytest.mark.parametrize("start", [100, 200, 300])
def test_a_short_run_is_not_made_of_its_first_evaluation(share, start):
    did = evaluations(Reuse(share), range(start, 0, -50))
    assert [timestep for timestep, what in did.items() if what == "full"] == [start, start // 100 * 50]


def test_few_steps_are_reused_only_where_they_are_near():
    for far in ((500, 333, 167), (999, 749, 499, 249), (400, 300, 200, 100)):
        assert set(evaluations(Reuse(0.3, steps=len(far)), far).values()) == {"full"}
    near = (200, 150, 100, 50)
    did = evaluations(Reuse(0.3, steps=4), near)
    assert [timestep for timestep, what in did.items() if what == "full"] == [200, 100]
    assert evaluations(Reuse(0.3, steps=5), near) == evaluations(Reuse(0.3), near)
    assert evaluations(Reuse(1, steps=3), (500, 375, 250)) == evaluations(Reuse(1), (500, 375, 250))


def test_one_whole_evaluation_leaves_its_features_as_they_are():
    reuse = Reuse(0.5)
    reuse.begin(500, 2)
    reuse.keep(grid(500))
    reuse.begin(450, 2)
    assert np.array_equal(reuse.take(2), grid(500))


def test_the_last_rows_are_the_prompts_and_more_predictions_need_a_whole_evaluation():
    reuse = Reuse(1)
    reuse.begin(500, 2)
    reuse.keep(np.concatenate([grid(1, rows=1), grid(2, rows=1)]))
    assert reuse.begin(450, 1) == 1 and not reuse.full
    assert np.array_equal(reuse.take(1), grid(2, rows=1))
    assert reuse.begin(400, 3) == 3 and reuse.full


def test_guidance_that_pauses_goes_on_with_what_it_added_before():
    reuse = Reuse(0.5)
    reuse.begin(400, 2)
    reuse.completed([np.float32(1), np.float32(3)])
    assert [reuse.begin(350, 1), reuse.begin(330, 2)] == [1, 1]
    assert reuse.completed([np.float32(5)]) == [3, 5]


def test_shallow_evaluations_add_the_guidance_that_was_kept(pipe):
    """Networks that answer what they are told, 1 for the negative prompt, 2 for the prompt; more with each call."""

    class Answering:
        def predict(self, x, timestep, conditioning, guidance_scale, reuse):
            seen.append((reuse.full, len(x), reuse.parts))
            return len(seen) * np.ones_like(x) * conditioning.tokens[:, :1, None, None]

    seen, networks = [], Answering()
    networks.package = pipe.package
    conditioning = Conditioning(np.float32([[1.0], [2.0]]))
    chosen = pipe.package.settings({"guidance_scale": 3.0, "reuse": 0.5})
    evaluations = Evaluations(chosen, GUIDANCE_MODES["pair"], pipe.package.trained)
    denoise = denoiser(networks, Conditionings((conditioning,), (0,)), evaluations)
    x, levels = np.zeros((1, 4, 2, 2), np.float32), [NoiseLevel(1.0, timestep) for timestep in (500.0, 450.0, 300.0)]
    guided = [-denoise(x, level)[0, 0, 0, 0] for level in levels]
    assert seen == [(True, 2, 2), (False, 1, 1), (False, 2, 2)]
    # the second's own prediction is 4 and the other one 1 less, as it was in the first; the third makes both
    assert guided == pytest.approx([1 + 3 * (2 - 1), 3 + 3 * (4 - 3), 3 + 3 * (6 - 3)])
    # a sampler that pushes harder in this step than in the one whose guidance was kept
    assert -denoise(x, NoiseLevel(1.0, 290.0), 2.0)[0, 0, 0, 0] == pytest.approx(5 + 6 * (8 - 5))


@given(st.floats(0, 1), st.integers(1, 12), st.sampled_from(sorted(partway.SAMPLERS)), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_plan_counts_both_kinds_of_evaluation(split, strength, steps, sampler, reuse):
    engine = Timed(split.engine)
    pipe = partway.Pipeline(split.package, engine, split.tokenizers)
    source = np.full((8, 16, 3), 99, np.uint8)
    run = pipe.stream("a room", source, strength=strength, steps=steps, sampler=sampler, reuse=reuse)
    result = run.result()
    counted = run.plan.rows if reuse else run.plan.calls  # with reuse each prediction is a call
    assert engine.calls.get("unet", 0) == counted["unet"]
    assert engine.calls.get("unet_shallow", 0) == counted.get("unet_shallow", 0)
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
