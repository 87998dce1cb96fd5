"""Engines: options, devices, what is remembered, what is refused."""

import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import partway
from partway import EngineError, InputError, PackageError
from partway.engines import EngineOptions, open_engine
from partway.engines.frugal import Frugal
from partway.engines.mapped import Mapped, forgetting

HAS_OPENVINO = importlib.util.find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not HAS_OPENVINO, reason="openvino is an extra")
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells of mapped files through /proc")
ENGINES = ["onnxruntime", pytest.param("openvino", marks=needs_openvino)]


def image(engine, *, size=16):
    return engine.run("vae_encoder", {"sample": np.zeros((1, 3, size, size), np.float32)})["latent_parameters"]


@pytest.mark.parametrize("engine", ENGINES)
def test_devices_are_listed_and_work(engine, toy_folder):
    found = [device for name, device, _ in partway.devices() if name == engine]
    assert "CPU" in found
    assert image(partway.load(toy_folder, engine=engine, device="cpu").engine).shape == (1, 8, 2, 2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", ["GPU9", "XPU", ""])
def test_an_unknown_device_is_refused_with_those_there_are(engine, toy_folder, device):
    with pytest.raises(EngineError, match=r"has no device .* it has: CPU"):
        partway.load(toy_folder, engine=engine, device=device)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "tflite"}, "unknown engine 'tflite'; choose one of: auto, onnxruntime, openvino"),
        ({"precision": "int3"}, "unknown precision"),
        ({"threads": 0}, "threads must be a whole number"),
        ({"threads": 1.5}, "threads must be a whole number"),
        ({"batch": "2"}, "batch must be a whole number"),
        ({"batch": 0}, "batch must be a whole number"),
        ({"cache_limit": "some"}, "cache_limit must be a number of bytes"),
    ],
)
def test_unusable_options_are_refused(toy_folder, options, words):
    with pytest.raises(InputError, match=words):
        partway.load(toy_folder, **options)


def test_onnxruntime_has_no_precision_to_choose(toy_folder):
    with pytest.raises(EngineError, match="precision of the exported graph"):
        partway.load(toy_folder, engine="onnxruntime", precision="bf16")


@pytest.mark.parametrize(("engine", "package"), [("onnxruntime", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_engine_names_what_to_install(toy_folder, monkeypatch, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match="is not installed; run: pip install"):
        partway.load(toy_folder, engine=engine)


def test_onnxruntime_does_not_take_openvino_files(tmp_path):
    with pytest.raises(EngineError, match="cannot read; use engine 'openvino'"):
        open_engine("onnxruntime", {"unet": tmp_path / "openvino_model.xml"}, EngineOptions())


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_change_nothing_but_speed(engine, toy_folder):
    one, two = (image(partway.load(toy_folder, engine=engine, threads=n).engine) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("static", [False, True])
def test_runs_in_several_threads_are_those_of_one(engine, static, toy_folder):
    def make(pipe, number):
        picture = np.full((24, 8 * (1 + number % 4), 3), 40 * number, np.uint8)
        return pipe.img2img(picture, f"room {number}", seed=number, strength=0.7).image.tobytes()

    alone, shared = (partway.load(toy_folder, engine=engine, static=static) for _ in range(2))
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda number: make(shared, number), range(6)))
    assert together == [make(alone, number) for number in range(6)]


@needs_openvino
def test_static_keeps_the_two_sizes_used_last(toy_folder):
    engine = partway.load(toy_folder, engine="openvino", static=True).engine
    for size in (16, 32, 48, 16):
        assert image(engine, size=size).shape == (1, 8, size // 8, size // 8)
    assert len(engine._compiled["vae_encoder"]._values) == 2


@needs_openvino
def test_a_cache_folder_that_cannot_be_made_is_refused(toy_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"cache_dir .* cannot be made"):
        partway.load(toy_folder, engine="openvino", cache_dir=tmp_path / "file" / "cache")


@needs_openvino
def test_lower_precision_is_near(toy_folder, picture):
    exact, rough = (
        np.asarray(partway.load(toy_folder, engine="openvino", precision=p).img2img(picture, "a room").image, float)
        for p in ("fp32", "fastest")
    )
    assert np.abs(exact - rough).mean() < 8


def test_a_network_that_is_gone_is_named(tmp_path, toy_folder):
    engine = open_engine("onnxruntime", {"unet": tmp_path / "model.onnx"}, EngineOptions())
    with pytest.raises(PackageError, match=r"model\.onnx cannot be loaded"):
        engine.signature("unet")


def resident(name):
    """Bytes of the mapped file of that name that are in memory."""
    found, here = 0, False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        if "-" in line.split()[0]:  # of addresses: another range begins
            here = line.endswith(name)
        elif here and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@on_linux
def test_mapped_weights_are_no_memory_once_they_were_used(tmp_path):
    content = bytes(range(256)) * 40_000
    file = tmp_path / "weights.bin"
    file.write_bytes(content)
    weights = Mapped(file)
    with forgetting(weights.forget):
        for _ in range(3):
            assert weights.bytes.tobytes() == content
            until = time.monotonic() + 10
            while resident("/weights.bin") and time.monotonic() < until:
                time.sleep(0.01)
            assert resident("/weights.bin") == 0
    assert weights.bytes.tobytes() == content and resident("/weights.bin") >= len(content)


@on_linux
def test_weights_that_onnxruntime_maps_are_no_memory_between_calls_where_it_counts():
    package = partway.load().package
    file = f"/{package.networks['unet'].parent.name}/model.onnx_data"
    latents = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    inputs = {
        "sample": latents,
        "timestep": np.float32(500),
        "encoder_hidden_states": np.ones((1, 77, 192), np.float32),
    }
    others = resident(file)
    outputs, read = [], []
    for release in (False, True, True):
        engine = open_engine("onnxruntime", package.networks, EngineOptions(release=release))
        outputs += [engine.run("unet", inputs)["out_sample"] for _ in range(2)]
        read.append(resident(file) - others)
        engine.release("unet")
        assert resident(file) == others
    assert read[0] > 10**6 and read[1:] == [0, 0]
    assert all((output == outputs[0]).all() for output in outputs)


@needs_openvino
def test_both_engines_make_the_same_picture_of_weights_of_8_bits(picture):
    """In float32, as they are asked to: left alone, both round what such weights multiply, each in its own way."""
    pictures = [
        np.asarray(partway.load(engine=engine).img2img(picture, "a room", steps=4, strength=0.6, seed=3).image, int)
        for engine in ("onnxruntime", "openvino")
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_releasing_networks_keeps_the_engine_s_own_limit_of_a_batch():
    """An NPU takes one picture at a time, whether or not networks are released between stages."""

    class OneByOne:
        batch = 1

    assert Frugal(OneByOne(), None).batch == 1
    assert Frugal(OneByOne(), 2).batch == 1
