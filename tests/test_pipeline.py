"""The pipeline on a model of a few kilobytes: results, streams, memory of encodes, sizes, engines, refusals."""

import gc
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway import InputError, NetworkError, PackageError
from partway.engines.timed import Timed


def test_result_carries_pictures_plan_and_seconds(counted, picture):
    pipe, _ = counted
    result = pipe.img2img(picture, "a room", seed=[3, 4], steps=8, strength=0.5)
    assert result.seeds == (3, 4)
    assert [image.size for image in result.images] == [picture.size] * 2
    assert result.images[0].tobytes() != result.images[1].tobytes()
    assert result.plan.network_calls == 5  # plms starts with two
    assert set(result.seconds) == {"text_encoder", "vae_encoder", "unet", "vae_decoder", "other", "total"}
    assert result.seconds["total"] == pytest.approx(sum(v for k, v in result.seconds.items() if k != "total"))


def test_a_batch_is_its_single_runs(pipe, picture):
    for sampler in ("euler", "euler_a", "dpmpp_2m_sde"):
        together = pipe.img2img(picture, "a room", seed=[3, 4], sampler=sampler).images
        apart = [pipe.img2img(picture, "a room", seed=s, sampler=sampler).image for s in (3, 4)]
        assert [i.tobytes() for i in together] == [i.tobytes() for i in apart]


def test_same_seed_same_bytes_and_other_seed_others(pipe, picture):
    one, two, other = (pipe.img2img(picture, "a room", seed=s).image.tobytes() for s in (1, 1, 2))
    assert one == two != other


def test_moving_the_dial_encodes_nothing_again(counted, picture):
    pipe, engine = counted
    pipe.img2img(picture, "a room", negative_prompt="dark", strength=0.3)
    assert (engine.calls["text_encoder"], engine.calls["vae_encoder"]) == (2, 1)
    pipe.img2img(picture, "a room", negative_prompt="dark", strength=0.6, seed=5, sampler="euler", steps=7)
    assert (engine.calls["text_encoder"], engine.calls["vae_encoder"]) == (2, 1)
    pipe.img2img(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "another", negative_prompt="dark")
    assert (engine.calls["text_encoder"], engine.calls["vae_encoder"]) == (3, 2)


def test_remembered_encodes_change_nothing(counted, pipe, picture):
    fresh, _ = counted
    fresh.img2img(picture, "a room", strength=0.9, seed=8)
    assert fresh.img2img(picture, "a room").image.tobytes() == pipe.img2img(picture, "a room").image.tobytes()


def test_memory_is_bounded(counted, picture):
    pipe, _ = counted
    for i in range(40):
        pipe.txt2img(f"room {i}", width=16, height=16, steps=1)
    assert len(pipe.texts._values) == 32


def test_guidance_1_makes_no_second_call(counted, picture):
    pipe, engine = counted
    without = pipe.img2img(picture, "a room", guidance_scale=1, sampler="euler")
    assert engine.calls["text_encoder"] == 1
    assert without.plan.calls["text_encoder"] == 1
    other = pipe.img2img(picture, "a room", guidance_scale=1, negative_prompt="dark", sampler="euler")
    assert without.image.tobytes() == other.image.tobytes()


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(("batch", "calls"), [(1, 6), (2, 3), (4, 2), (8, 1)])
def test_a_limited_batch_is_more_calls_and_the_same_pictures(toy_folder, pipe, picture, batch, calls, static):
    if static:
        pytest.importorskip("openvino")
    limited = partway.load(toy_folder, engine="openvino" if static else "onnxruntime", batch=batch, static=static)
    engine = Timed(limited.engine)
    settings = {"steps": 4, "strength": 0.25, "sampler": "euler", "seed": [1, 2, 3]}
    made = partway.Pipeline(limited.package, engine, limited.tokenizers).img2img(picture, "a room", **settings)
    assert engine.calls["unet"] == calls
    for ours, whole in zip(made.images, pipe.img2img(picture, "a room", **settings).images, strict=True):
        np.testing.assert_allclose(np.asarray(ours, int), np.asarray(whole, int), atol=static)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_graph_of_fixed_batch_takes_any_number_of_pictures(tmp_path, pipe, picture, batch):
    fixed = partway.load(toy.build(tmp_path / "fixed", batch=batch))
    for guidance_scale in (1, 7.5):
        ours = fixed.img2img(picture, "a room", guidance_scale=guidance_scale, seed=[1, 2]).images
        free = pipe.img2img(picture, "a room", guidance_scale=guidance_scale, seed=[1, 2]).images
        assert [i.tobytes() for i in ours] == [i.tobytes() for i in free]


def test_whole_timesteps_are_rounded_for_graphs_that_take_integers(tmp_path, pipe, picture):
    whole = partway.load(toy.build(tmp_path / "whole", timestep="int64"))
    assert (
        whole.img2img(picture, "a", schedule="leading").image.tobytes()
        == pipe.img2img(picture, "a", schedule="leading").image.tobytes()
    )
    near = np.asarray(whole.img2img(picture, "a", schedule="karras").image).astype(int)
    assert np.abs(near - np.asarray(pipe.img2img(picture, "a", schedule="karras").image)).mean() < 2


@pytest.mark.parametrize("size", [(8, 8), (17, 9), (33, 64), (100, 70)])
def test_any_size_comes_back_as_it_was(pipe, size):
    picture = Image.new("RGB", size, (10, 200, 30))
    assert pipe.img2img(picture, "a room").image.size == size
    assert pipe.txt2img("a room", width=size[0], height=size[1]).image.size == size


def test_text_to_image_has_the_model_s_size_by_default(pipe):
    assert pipe.txt2img("a room", steps=2).image.size == pipe.package.size == (64, 64)


def test_alpha_and_profile_come_along(pipe):
    picture = Image.new("RGBA", (20, 30), (200, 100, 50, 128))
    picture.info["icc_profile"] = b"x" * 16 + b"RGB " + b"y" * 100
    made = pipe.img2img(picture, "a room", strength=0.5).image
    assert made.mode == "RGBA"
    assert made.getchannel("A").getextrema() == (128, 128)
    assert made.info["icc_profile"] == picture.info["icc_profile"]


def test_stream_tells_each_step_and_can_be_left(counted, picture):
    pipe, engine = counted
    run = pipe.stream("a room", picture, steps=10, strength=0.5, sampler="heun", seed=[1, 2])
    assert engine.calls == {}, "nothing may run before the first step is asked for"
    for step in run:
        assert (step.index, step.total) == (1, 5)
        assert step.level == run.plan.levels[0]
        previews = step.preview()
        assert [p.size for p in previews] == [(6, 4)] * 2
        break
    assert engine.calls["unet"] == 2
    with pytest.raises(InputError, match="left before it finished"):
        del step
        run._work.close()
        run.result()


def test_a_run_s_result_can_be_taken_after_or_without_its_steps(pipe, picture):
    run = pipe.stream("a room", picture)
    steps = list(run)
    assert run.result().image.tobytes() == pipe.img2img(picture, "a room").image.tobytes()
    assert run.result() is run.result()
    assert len(steps) == run.plan.steps_run


def test_previews_show_the_picture_s_colours(pipe):
    """Fitted to the source, the linear preview of a barely changed picture has its colours."""
    y, x = np.mgrid[:64, :64]
    picture = Image.fromarray(np.uint8(np.stack([4 * x, 255 - 4 * y, 128 + 0 * x], -1)))
    *_, last = pipe.stream("a room", picture, strength=0.05, steps=20)
    small = np.asarray(last.preview()[0]).astype(float)
    blocks = np.asarray(picture).reshape(8, 8, 8, 8, 3).mean((1, 3))
    assert np.abs(small - blocks).mean() < 25


def test_plan_is_what_the_run_does_and_says_it(pipe):
    plan = pipe.plan(strength=0.45, steps=20, sampler="euler", schedule="leading")
    assert plan.network_calls == plan.steps_run == 9
    assert plan.levels[0] == (pytest.approx(1.168, abs=1e-3), 401)
    assert plan.noise_share == pytest.approx(0.577, abs=1e-3)
    assert json.loads(json.dumps(plan.as_dict()))["start_timestep"] == 401
    assert "9 steps run; starts at sigma 1.168" in str(plan)
    assert "nothing runs" in str(pipe.plan(strength=0))
    assert partway.plan(strength=0.45, sampler="euler").levels == plan.levels
    assert pipe.plan(image=False).noise_share == 1


def test_networks_that_return_nan_are_named(pipe, picture):
    class Broken:
        batch = None

        def signature(self, network):
            return pipe.engine.signature(network)

        def run(self, network, inputs):
            outputs = pipe.engine.run(network, inputs)
            return {k: v * np.nan if network == "unet" else v for k, v in outputs.items()}

    with pytest.raises(NetworkError, match="unet returned values that are not finite"):
        partway.Pipeline(pipe.package, Broken(), pipe.tokenizers).img2img(picture, "a room")


BAD_SETTINGS = {
    "strength": [1.2, -0.1, float("nan"), "0.5", None, True],
    "steps": [0, -1, 1.5, 1001, "10", None, True],
    "guidance_scale": [-1, float("nan"), float("inf"), 1e39, "7"],
    "guidance_rescale": [-0.1, 1.1],
    "seed": [2**64, -(2**63) - 1, 1.5, "1", [], [1, 2.5], None],
    "sampler": ["eulr", 3],
    "schedule": ["karas", 3],
    "dial": ["difusers", None],
    "rng": ["mps"],
    "eta": [1.5, -0.1, float("nan"), "1", True],
    "negative_prompt": [None, 3],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_SETTINGS.items() for value in values]
)
def test_settings_out_of_range_are_refused_in_a_line(pipe, picture, name, value):
    with pytest.raises(InputError) as caught:
        pipe.img2img(picture, "a room", **{"sampler": "ddim", name: value})
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300


@pytest.mark.parametrize("prompt", [None, 3, ["a room"]])
def test_a_prompt_is_text(pipe, picture, prompt):
    with pytest.raises(InputError, match="prompt must be text"):
        pipe.img2img(picture, prompt)


def test_numbers_may_be_numpy_s(pipe, picture):
    run = pipe.stream(
        "a room",
        picture,
        strength=np.float32(0.5),
        steps=np.float64(4),
        guidance_scale=np.float64(3),
        guidance_rescale=np.float64(0.5),
        eta=np.float64(1),
        sampler="ddim",
        seed=iter(np.array([3])),
    )
    assert [step.denoised.dtype for step in run] == ["float32", "float32"]
    plain = {"strength": 0.5, "steps": 4, "guidance_scale": 3, "guidance_rescale": 0.5, "eta": 1, "sampler": "ddim"}
    assert run.result().image.tobytes() == pipe.img2img(picture, "a room", seed=3, **plain).image.tobytes()
    assert json.loads(json.dumps(run.plan.as_dict()))["steps"] == 4
    assert pipe.txt2img("a room", width=np.int64(64), height=np.uint16(48), steps=1).image.size == (64, 48)


@pytest.mark.parametrize("size", [{"width": 0}, {"height": 50_000}, {"width": 64.0}, {"height": -8}, {"width": 7}])
def test_impossible_sizes_are_refused(pipe, size):
    with pytest.raises(InputError, match="between 8 and"):
        pipe.txt2img("a room", **size)


def test_a_picture_keeps_its_size(pipe, picture):
    with pytest.raises(InputError, match="keeps the picture's size"):
        pipe.stream("a room", picture, width=64)


def test_an_eta_where_there_is_none_is_refused(pipe, picture):
    with pytest.raises(InputError, match="no eta"):
        pipe.img2img(picture, "a room", sampler="heun", eta=0.5)


def broken(folder, change):
    """A copy of the toy model with one thing wrong."""

    def make(tmp_path):
        copy = tmp_path / "model"
        shutil.copytree(folder, copy)
        change(copy)
        return copy

    return make


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "unet/model.onnx").unlink(), "unet/model.onnx is missing"),
        (lambda f: (f / "unet/model.onnx").write_bytes(b""), "unet/model.onnx is missing or empty"),
        (lambda f: (f / "model_index.json").unlink(), "model_index.json is missing"),
        (lambda f: (f / "model_index.json").write_text("{"), "model_index.json cannot be read"),
        (lambda f: (f / "model_index.json").write_text("[]"), "does not hold a JSON object"),
        (lambda f: edit(f / "model_index.json", _class_name="FluxPipeline"), "holds a FluxPipeline"),
        (lambda f: edit(f / "unet/config.json", in_channels=7), "7 input channels"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", prediction_type="score"), "predicts 'score'"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", beta_schedule="sigmoid"), "beta_schedule 'sigmoid'"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", beta_start="low"), "could not convert"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", beta_end=1e9), "no training schedule"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", trained_betas=[0.1, 2]), "between 0 and 1"),
        (lambda f: edit(f / "scheduler/scheduler_config.json", num_train_timesteps=0), "no training schedule"),
        (lambda f: edit(f / "unet/config.json", sample_size=[8, 8, 8]), "setting that cannot be"),
        (lambda f: edit(f / "unet/config.json", block_out_channels=None), "setting that cannot be"),
        (lambda f: edit(f / "vae_decoder/config.json", scaling_factor="x"), "could not convert"),
        (lambda f: (f / "partway.json").write_text('{"files": [1]}'), "partway.json is damaged"),
        (lambda f: (f / "partway.json").write_text('{"files": {"unet/model.onnx": {}}}'), "partway.json is damaged"),
        (lambda f: edit(f / "tokenizer/tokenizer_config.json", added_tokens_decoder=[1]), "tokenizer"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer"),
        (lambda f: [file.unlink() for file in f.glob("*/model.onnx")], "no exported networks"),
    ],
)
def test_unusable_folders_are_refused_in_a_line(tmp_path, toy_folder, change, words):
    folder = broken(toy_folder, change)(tmp_path)
    with pytest.raises(partway.PartwayError, match=words) as caught:
        partway.load(folder)
    assert "\n" not in str(caught.value)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: truncate(f / "unet/model.onnx"), "unet/model.onnx cannot be loaded"),
        (lambda f: shutil.copy(f / "vae_decoder/model.onnx", f / "unet/model.onnx"), "unet has no input"),
        (lambda f: shutil.copy(f / "unet/model.onnx", f / "vae_encoder/model.onnx"), "vae_encoder takes"),
        (lambda f: shutil.copy(f / "vae_decoder/model.onnx", f / "vae_encoder/model.onnx"), "of shape ?x4x"),
        (lambda f: edit(f / "vae_decoder/config.json", block_out_channels=[8] * 3), "vae_encoder returned 1x8x"),
    ],
)
def test_graphs_that_do_not_fit_are_named_when_they_are_used(tmp_path, toy_folder, picture, engine, change, words):
    if engine == "openvino":
        pytest.importorskip("openvino")
    pipe = partway.load(broken(toy_folder, change)(tmp_path), engine=engine)
    with pytest.raises((PackageError, NetworkError)) as caught:
        pipe.img2img(picture, "a room")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_kept_open(toy_folder, picture):
    pipe = partway.load(toy_folder)
    pipe.img2img(picture, "a room")
    pipe.engine.release("unet")
    gc.collect()
    assert pipe.img2img(picture, "a room").image.size == picture.size


def test_strength_0_loads_no_network(counted, picture, monkeypatch):
    pipe, engine = counted
    asked = []
    signature = type(engine).signature
    monkeypatch.setattr(type(engine), "signature", lambda self, name: asked.append(name) or signature(self, name))
    pipe.img2img(picture, "a room", strength=0)
    assert asked == []
    pipe.img2img(picture, "a room", strength=0.5, steps=2)
    assert "unet" in asked
