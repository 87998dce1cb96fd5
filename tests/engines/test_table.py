"""An engine is a file and a row: with those, everything that names engines knows it."""

import json

import numpy as np
import pytest
from PIL import Image

import partway
from partway import EngineError, EngineOptions, InputError, cli
from partway.bench import processes
from partway.budget import tuned
from partway.budget.tuned import Measured
from partway.engines import ENGINES, engine_named
from partway.engines.table import Row
from partway.model.package import open_package
from partway.pictures.metadata import read_parameters


@pytest.fixture(autouse=True)
def abacus(monkeypatch, tmp_path):
    pytest.importorskip("onnx.reference")
    monkeypatch.setenv("PARTWAY_CACHE", str(tmp_path / "cache"))
    row = Row("abacus.Abacus", library="onnx", distribution="onnx", formats=("onnx",))
    monkeypatch.setitem(ENGINES, "abacus", row)


def test_it_makes_the_pictures_of_other_engines(toy_folder, picture):
    ours, theirs = (
        np.asarray(partway.load(toy_folder, engine=engine).img2img(picture, "a room", steps=4).image, int)
        for engine in ("abacus", "onnxruntime")
    )
    assert np.abs(ours - theirs).max() <= 1


def test_its_devices_are_listed(toy_folder, capsys):
    assert ("abacus", "CPU", "NumPy") in partway.devices()
    assert cli.main(["devices"]) == 0
    assert "abacus       CPU      NumPy" in capsys.readouterr().out
    with pytest.raises(EngineError, match="abacus has no device 'GPU'"):
        partway.load(toy_folder, engine="abacus", device="GPU")


def test_its_memory_is_not_known_and_cannot_be_limited(toy_folder, capsys):
    plan = partway.plan(toy_folder, engine="abacus", options=EngineOptions(release=True, batch=1))
    assert plan.peak_bytes is None and plan.memory == "networks are released between stages, each prediction is a call"
    assert partway.load(toy_folder, engine="abacus").plan().peak_bytes is None
    with pytest.raises(InputError, match="how much memory abacus takes is not known; leave memory_limit out"):
        partway.load(toy_folder, engine="abacus", memory_limit="1GB")
    with pytest.raises(InputError, match="how much memory abacus takes is not known; leave memory_limit out"):
        partway.plan(toy_folder, engine="abacus", options={"memory_limit": "1GB"})
    assert cli.main(["plan", "-m", str(toy_folder), "--engine", "abacus"]) == 0
    assert "at the peak" not in capsys.readouterr().out


@pytest.mark.parametrize("preset", sorted(partway.PRESETS))
def test_presets_run_on_it(split_folder, picture, preset):
    pipe = partway.load(split_folder, engine="abacus", preset=preset)
    assert type(pipe.engine).__name__ == "Abacus"
    assert pipe.img2img(picture, "a room", steps=2, strength=0.6).image.size == picture.size


def test_what_was_measured_on_it_is_what_presets_take(toy_folder):
    package = open_package(toy_folder)
    found = processes.configurations(package)
    options = {"engine": "abacus", "device": "CPU"}
    assert found["abacus CPU fp32"] == options
    assert found["abacus CPU fp32 batch 1"] == options | {"batch": 1}
    seconds = dict.fromkeys(package.networks, 0.5)
    tuned.keep(package, [Measured(options, package.size, seconds)])
    pipe = partway.load(toy_folder, preset="exact")
    assert type(pipe.engine).__name__ == "Abacus" and pipe.plan().seconds > 0


def test_records_name_it_and_its_library(toy_folder, tmp_path, picture, capsys):
    picture.save(tmp_path / "room.png")
    made = ["img2img", tmp_path / "room.png", "a room", "-m", toy_folder, "-o", tmp_path / "out.png"]
    assert cli.main([*map(str, made), "--steps", "2", "--engine", "abacus"]) == 0
    record = read_parameters(tmp_path / "out.png")
    assert record["load"]["engine"] == "abacus" and "onnx" in record["versions"]
    assert json.dumps(record) and Image.open(tmp_path / "out.png").size == picture.size


def test_auto_is_the_first_that_reads_the_format(tmp_path, monkeypatch):
    onnx, openvino = ({"unet": tmp_path / name} for name in ("model.onnx", "openvino_model.xml"))
    assert engine_named("auto", onnx, "CPU") == "onnxruntime" and engine_named("auto", openvino, "CPU") == "openvino"
    assert engine_named("abacus", onnx, "CPU") == "abacus"
    with pytest.raises(EngineError, match="OpenVINO IR, which abacus cannot read; use engine 'openvino'"):
        engine_named("abacus", openvino, "CPU")
    monkeypatch.setitem(ENGINES, "openvino", ENGINES["openvino"]._replace(library="a_library_that_nobody_has"))
    assert engine_named("auto", onnx, "GPU") == "onnxruntime" and engine_named("auto", openvino, "GPU") == "openvino"
