"""A UNet in segments computes what the whole one does, with one segment loaded at a time."""

import numpy as np
import onnx
import pytest
from PIL import Image

import partway
from partway import cli
from partway.engines.streamed import Streamed
from partway.model.package import open_package

_KINDS = [("sd1", "fp32"), pytest.param(("sdxl", "int8"), marks=pytest.mark.thorough), ("lcm", "fp16")]


@pytest.fixture(scope="module", params=_KINDS, ids=str)
def cut(request, exported):
    kind, weights = request.param
    return exported(kind, "onnx", weights, split=True, segments=4).folder


@pytest.fixture
def picture():
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8)).resize((96, 64), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_pictures_are_those_of_the_whole_unet(cut, picture, engine):
    made = [
        partway.load(cut, engine=engine, stream=stream).img2img(picture, "a photo", strength=0.6, steps=4).image
        for stream in (False, True)
    ]
    apart = np.abs(np.asarray(made[0], int) - np.asarray(made[1], int))
    assert apart.mean() < 0.5 and apart.max() <= 8  # other fusions round otherwise


def test_segments_share_out_the_weights_and_store_none_twice(cut):
    package = open_package(cut)
    assert package.segments == tuple(f"unet_segment_{index}" for index in range(4))
    shares, places = [], set()
    for name in package.segments:
        graph = onnx.load(package.networks[name], load_external_data=False).graph
        mine = [tensor for tensor in graph.initializer if tensor.external_data]
        assert mine and all(entry.value == "model.onnx_data" for t in mine for entry in t.external_data[:1])
        places |= {tensor.name for tensor in mine}
        shares.append(sum(int(np.prod(tensor.dims)) for tensor in mine))
    whole = onnx.load(package.networks["unet"], load_external_data=False).graph
    assert places == {tensor.name for tensor in whole.initializer if tensor.external_data}
    assert max(shares) < 2 * sum(shares) / len(shares)


def test_one_segment_is_loaded_at_a_time(cut):
    class Engine:
        batch = None

        def __init__(self, engine):
            self.engine, self.loaded = engine, set()

        def signature(self, network):
            self.loaded.add(network)
            assert len(self.loaded) == 1
            return self.engine.signature(network)

        def run(self, network, inputs):
            self.loaded.add(network)
            assert len(self.loaded) == 1
            return self.engine.run(network, inputs)

        def release(self, network):
            self.loaded.discard(network)
            self.engine.release(network)

    pipe = partway.load(cut)
    streamed = Streamed(Engine(pipe.engine), pipe.package.segments)
    assert dict(streamed.signature("unet").inputs) == dict(pipe.engine.signature("unet").inputs)
    assert set(streamed.signature("unet").outputs) == set(pipe.engine.signature("unet").outputs)
    with np.load(cut / "goldens/unet.npz") as golden:
        inputs = {name.removeprefix("inputs/"): golden[name] for name in golden if name.startswith("inputs/")}
    streamed.run("unet", inputs)
    assert not streamed._engine.loaded


def test_what_cannot_be_is_one_line(tiny_model, package, tmp_path, capsys):
    for options, words in (
        (["--segments", "1"], "segments must be between 2 and 64"),
        (["--segments", "4", "--to", "openvino"], "of format onnx"),
        (["--segments", "4", "--weights", "w8a8"], "'w8a8' are not cut"),
    ):
        assert cli.main(["export", str(tiny_model("sd1")), str(tmp_path / "out"), *options]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("partway: error: ") and words in line and not (tmp_path / "out").exists()
    with pytest.raises(partway.InputError, match="not cut into segments"):
        partway.load(package("onnx-fp32").folder, stream=True)


def test_a_limit_makes_the_unet_run_in_segments_before_it_is_refused(cut, picture):
    limit, seen = None, []
    run = {"width": 96, "height": 64, "strength": 0.6, "steps": 4}
    while True:
        options = partway.EngineOptions(memory_limit=limit)
        try:
            plan = partway.plan(cut, engine="onnxruntime", options=options, **run)
        except partway.InputError as refused:
            assert "--segments" not in str(refused)
            break
        seen.append(plan)
        limit = plan.peak_bytes - 1
    assert [("4 segments" in plan.memory) for plan in seen] == [False] * (len(seen) - 1) + [True]
    pipe = partway.load(cut, engine="onnxruntime", memory_limit=seen[-1].peak_bytes)
    result = pipe.img2img(picture, "a photo", strength=0.6, steps=4)
    assert result.plan.memory == seen[-1].memory
    free = partway.load(cut, engine="onnxruntime").img2img(picture, "a photo", strength=0.6, steps=4)
    apart = np.abs(np.asarray(result.image, int) - np.asarray(free.image, int))
    assert apart.mean() < 0.5 and apart.max() <= 8
