"""Memory: what a limit makes a run do, that pictures stay the same bytes, and that what cannot fit is refused early."""

import json
import os
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import partway
import toy
from partway import cli
from partway.budget.planner import Planner
from partway.engines import EngineOptions
from partway.engines.frugal import Frugal, stage
from partway.run import starts
from partway.support.amounts import amount

SHORT = {"steps": 2, "strength": 1.0, "seed": 3}


@pytest.fixture(scope="module")
def rooms():
    return partway.load()


class Recording:
    """An engine that keeps which networks are loaded, and fails where a second stage's is."""

    def __init__(self, engine):
        self.engine, self.batch, self.loaded, self.events = engine, engine.batch, set(), []

    def _load(self, network):
        self.loaded.add(network)
        assert self.loaded <= set(stage(network)), "networks of two stages are loaded at once"

    def signature(self, network):
        self._load(network)
        return self.engine.signature(network)

    def run(self, network, inputs):
        self._load(network)
        self.events.append(network)
        return self.engine.run(network, inputs)

    def release(self, network):
        if network in self.loaded:
            self.events.append(f"-{network}")
        self.loaded.discard(network)


def limits(package, engine="onnxruntime", **run):
    """Every limit below which a run is done in another way, with its plan: the largest first."""
    limit, found = None, []
    while True:
        planner = Planner(engine, EngineOptions(memory_limit=limit))
        size = {"width": run.get("width"), "height": run.get("height")}
        settings = package.settings({name: value for name, value in run.items() if name not in size})
        try:
            plan = planner.planned(package, settings, starts.imagined(True, package, **size)).plan
        except partway.InputError:
            return found
        if not found or plan.memory != found[-1][1].memory:  # a limit alone has weights given back
            found.append((limit, plan))
        limit = plan.peak_bytes - 1


@pytest.mark.parametrize(
    ("text", "size"),
    [(1500, 1500), ("1500", 1500), ("1500MB", 1_500_000_000), ("1.5 gb", 1_500_000_000), ("2GiB", 2**31)],
)
def test_amounts(text, size):
    assert amount("memory_limit", text) == size


@pytest.mark.parametrize("bad", ["", "lots", "MB", "-1GB", "1TB", "0", 0, -5, 1.5, True])
def test_what_is_no_amount_is_refused_by_name(bad, toy_folder):
    with pytest.raises(partway.InputError, match="memory_limit must be"):
        partway.load(toy_folder, memory_limit=bad)


def test_a_limit_is_for_the_processor(toy_folder):
    with pytest.raises(partway.InputError, match="device CPU"):
        partway.load(toy_folder, memory_limit="1GB", device="GPU")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_ways_come_in_order_each_needing_less(rooms, engine):
    found = limits(rooms.package, engine, width=768, height=768)
    peaks = [plan.peak_bytes for _, plan in found]
    done = [plan.memory for _, plan in found]
    assert peaks == sorted(peaks, reverse=True) and len(set(peaks)) == len(peaks)
    assert done[0] == "networks stay loaded"
    assert done[1].startswith("networks are released between stages")
    assert done[-1].startswith(
        "networks are released between stages, each prediction is a call, the VAE works in tiles"
    )
    assert found[-1][1].calls["vae_decoder"] > 1


@given(limit=st.integers(1, 3000), side=st.integers(1, 16), seeds=st.integers(1, 3))
def test_a_plan_fits_or_is_refused(rooms, limit, side, seeds):
    planner = Planner("onnxruntime", EngineOptions(memory_limit=f"{limit}MB"))
    settings = rooms.package.settings({"seed": range(seeds)})
    start = starts.imagined(True, rooms.package, width=64 * side, height=512)
    try:
        plan = planner.planned(rooms.package, settings, start).plan
    except partway.InputError as error:
        assert "at the least" in str(error) and "\n" not in str(error)
    else:
        assert 0 < plan.peak_bytes <= limit * 10**6


def test_larger_pictures_and_more_of_them_need_more(rooms):
    sizes = [rooms.plan(width=side, height=side).peak_bytes for side in (128, 256, 512, 1024)]
    assert sizes == sorted(set(sizes))
    assert rooms.plan(seed=range(4)).peak_bytes > rooms.plan().peak_bytes
    assert rooms.plan(width=1024, height=1024, tile=256).peak_bytes < sizes[-1]
    assert rooms.plan(guidance_scale=1, width=1024, height=1024).peak_bytes < sizes[-1]


def test_what_the_user_sets_stays(rooms):
    package, wide = rooms.package, {"width": 768, "height": 768}
    with_tile = limits(package, vae_tile=512, **wide)
    assert all("tiles of 512" in plan.memory for _, plan in with_tile)
    planner = Planner("onnxruntime", EngineOptions(memory_limit="10GB", batch=2))
    start = starts.imagined(True, package, **wide)
    assert planner.planned(package, package.settings({}), start).loading.batch == 2


def test_nothing_to_run_needs_no_network(rooms):
    assert rooms.plan(strength=0).peak_bytes < rooms.plan().peak_bytes
    picture = Image.new("RGB", (64, 64), "red")
    pipe = replace(rooms, planner=Planner("onnxruntime", EngineOptions(memory_limit="100MB")))
    assert pipe.img2img(picture, "a room", strength=0).image.tobytes() == picture.tobytes()


def test_pictures_are_the_same_below_a_limit(rooms):
    """The same bytes, but that an engine may add up one row in another order than two."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8))
    free = rooms.img2img(picture, "a room", **SHORT)
    for limit, plan in limits(rooms.package, width=128, height=128, **SHORT)[1:]:
        pipe = partway.load(memory_limit=limit)
        made = pipe.img2img(picture, "a room", **SHORT)
        assert made.plan.memory == plan.memory != free.plan.memory
        apart = np.abs(np.asarray(made.image, int) - np.asarray(free.image, int))
        assert apart.max() <= ("each prediction is a call" in plan.memory), plan.memory


def test_one_stage_is_loaded_at_a_time(pipe, picture):
    engine = Recording(pipe.engine)
    limit = pipe.plan(width=40, height=24, **SHORT).peak_bytes - 1
    planner = Planner("onnxruntime", EngineOptions(memory_limit=limit))
    frugal = partway.Pipeline(pipe.package, engine, pipe.tokenizers, planner)
    for prompt in ("a room", "a sofa"):
        frugal.img2img(picture, prompt, **SHORT)
    run = ["text_encoder", "-text_encoder", "unet", "-unet", "vae_decoder"]
    assert [name for name, _ in groupby(engine.events)] == [*run, "-vae_decoder", *run]


def test_without_a_limit_nothing_is_released(pipe, picture):
    engine = Recording(pipe.engine)
    engine._load = lambda network: engine.loaded.add(network)
    partway.Pipeline(pipe.package, engine, pipe.tokenizers).img2img(picture, "a room", **SHORT)
    assert not [event for event in engine.events if event.startswith("-")]


def test_text_encoders_share_a_stage():
    class Engine:
        batch = None
        released = ()

        def run(self, network, inputs):
            return {}

        def release(self, network):
            self.released += (network,)

    engine = Engine()
    frugal = Frugal(engine, 1)
    for network in ("text_encoder", "text_encoder_2", "text_encoder"):
        frugal.run(network, {})
    assert frugal.batch == 1 and engine.released == (
        "unet",
        "vae_encoder",
        "vae_decoder",
        "unet_shallow",
        "tiny_encoder",
        "tiny_decoder",
    )


def test_both_unets_share_a_stage():
    assert stage("unet") == stage("unet_shallow") != stage("vae_decoder")


def test_a_refused_run_loads_nothing(pipe, picture):
    engine = Recording(pipe.engine)
    planner = Planner("onnxruntime", EngineOptions(memory_limit="20MB"))
    with pytest.raises(partway.InputError, match=r"MB of memory at the least.*memory_limit 20 MB.*would help"):
        partway.Pipeline(pipe.package, engine, pipe.tokenizers, planner).img2img(picture, "a room")
    assert not engine.loaded and not engine.events


def test_a_vae_in_tiles_is_in_the_settings_of_the_result(pipe, picture):
    made = pipe.img2img(picture, "a room", vae_tile=16, **SHORT)
    calls = pipe.plan(**SHORT).calls
    assert made.settings.vae_tile == 16
    assert made.plan.calls == calls | {"vae_decoder": 6}
    with pytest.raises(partway.InputError, match="vae_tile must be a multiple of 16"):
        pipe.img2img(picture, "a room", vae_tile=24)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder of Stable Diffusion 1.5's shape and file sizes as float32 ONNX, in which there is nothing."""
    folder = toy.build(tmp_path_factory.mktemp("large"))
    vae = {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4}
    unet = {"block_out_channels": [320, 640, 1280, 1280], "sample_size": 64, "attention_head_dim": 8}
    for network, config in {"unet": unet, "vae_encoder": vae, "vae_decoder": vae}.items():
        (folder / network / "config.json").write_text(json.dumps(config))
    sizes = {"text_encoder": 492e6, "unet": 1e6, "vae_encoder": 137e6, "vae_decoder": 198e6}
    for network, size in sizes.items():
        os.truncate(folder / network / "model.onnx", int(size))
    with (folder / "unet/model.onnx_data").open("wb") as file:
        file.truncate(3_438_000_000)
    return folder


@pytest.mark.parametrize(
    ("measured", "options"),
    [
        (11.29e9, {}),
        (10.35e9, {"static": True}),
        (8.65e9, {"precision": "bf16"}),
        (8.22e9, {"precision": "bf16", "static": True}),
    ],
)
def test_a_large_model_is_predicted_from_measurements_of_small_ones(large, measured, options):
    """The peaks of OpenVINO in benchmarks/README.md."""
    plan = partway.plan(large, engine="openvino", options=EngineOptions(**options))
    assert plan.peak_bytes == pytest.approx(measured, rel=0.1)


def command(capsys, *arguments):
    code = cli.main([str(one) for one in arguments])
    return code, capsys.readouterr()


def test_plan_tells_memory_at_the_command_line(toy_folder, capsys):
    code, said = command(capsys, "plan", "--model", toy_folder, "--memory-limit", "1GB", "--width", "64")
    assert code == 0 and "at the peak; networks stay loaded" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--memory-limit", "1GB"),
        ("plan", "--model", "MODEL", "--memory-limit", "lots"),
        ("plan", "--model", "MODEL", "--memory-limit", "5MB"),
        ("plan", "--model", "MODEL", "--width", "2"),
        ("txt2img", "a room", "--model", "MODEL", "--memory-limit", "5MB"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, toy_folder, capsys):
    code, said = command(capsys, *(toy_folder if one == "MODEL" else one for one in arguments))
    assert code == 2 and said.err.count("\n") == 1 and not said.out
