"""What is known of a model on this machine: when it holds, who uses it, and the seconds it foretells."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

import partway
from partway import cli
from partway.budget import presets, tuned
from partway.budget.planner import Planner
from partway.budget.tuned import Measured
from partway.engines import EngineOptions
from partway.model.package import open_package
from partway.run import starts
from partway.support import machine
from partway.support.files import cache_folder

EACH = {"text_encoder": 0.5, "vae_encoder": 2.0, "unet": 10.0, "unet_shallow": 3.0, "vae_decoder": 4.0}
PLAIN = {"engine": "onnxruntime", "device": "CPU"}
BF16 = {"engine": "openvino", "device": "CPU", "precision": "bf16", "static": True, "batch": 1, "threads": 1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTWAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def package(split_folder):
    return open_package(split_folder)


def row(options=PLAIN, size=(64, 64), seconds=EACH, decibels=None):
    return Measured(options, size, seconds, decibels)


def test_what_is_kept_is_known_again(package):
    assert tuned.measured(package) == ()
    rows = [row(BF16, decibels=41.5), row()]
    assert tuned.keep(package, rows) == tuned.path(package)
    assert tuned.measured(package) == tuple(rows)


def test_each_size_is_kept_and_replaced_by_itself(package):
    tuned.keep(package, [row(), row(BF16)])
    tuned.keep(package, [row(BF16, size=(128, 64))])
    tuned.keep(package, [row(BF16)])
    known = tuned.measured(package)
    assert known == (row(BF16, size=(128, 64)), row(BF16))
    for size, near in (((64, 64), 64), ((72, 64), 64), ((8, 8), 64), ((512, 512), 128)):
        assert [one.size[0] for one in tuned.nearest(known, size)] == [near]
    assert tuned.nearest((), (64, 64)) == []


@pytest.mark.parametrize(
    ("place", "name", "other"),
    [
        (machine, "processor", lambda: ("Abacus", frozenset())),
        (machine, "cores", lambda: 999),
        (machine, "versions", lambda names: {"openvino": "0.1"}),
    ],
)
def test_on_another_machine_nothing_is_known(package, monkeypatch, place, name, other):
    tuned.keep(package, [row()])
    monkeypatch.setattr(place, name, other)
    assert tuned.measured(package) == ()


def test_of_another_model_nothing_is_known(package, toy_folder):
    tuned.keep(package, [row()])
    assert tuned.measured(open_package(toy_folder)) == ()
    file = package.networks["unet"]
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        assert tuned.measured(package) == ()
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tuned.measured(package) == (row(),)


def test_checksums_stand_for_the_files_where_there_are_some(package):
    summed = replace(package, manifest={"files": {"unet/model.onnx": {"sha256": "1", "bytes": 1}}})
    tuned.keep(summed, [row()])
    assert tuned.measured(replace(summed, root=Path("elsewhere"), networks={})) == (row(),)
    other = replace(package, manifest={"files": {"unet/model.onnx": {"sha256": "2", "bytes": 1}}})
    assert tuned.measured(other) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"measured": 1}',
        '{"measured": [{}]}',
        '{"measured": [{"options": {}, "size": [64, 64], "seconds": {}, "decibels": null}]}',
        '{"measured": [{"options": {"engine": "x", "speed": 1}, "size": [64, 64], "seconds": {}, "decibels": null}]}',
        '{"measured": [{"options": {"engine": "x"}, "size": [64], "seconds": {}, "decibels": null}]}',
        '{"measured": [{"options": {"engine": "x"}, "size": [64, 64], "seconds": {"unet": "a"}, "decibels": null}]}',
    ],
)
def test_a_damaged_file_is_no_file(package, text):
    tuned.keep(package, [row()])
    tuned.path(package).write_text(text)
    assert tuned.measured(package) == ()
    tuned.keep(package, [row()])
    assert tuned.measured(package) == (row(),)


def test_a_folder_that_cannot_be_is_refused_in_a_line(package, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(partway.InputError, match="set PARTWAY_CACHE to another folder"):
        tuned.writable(package)


def test_the_cache_folder_is_where_the_user_says(monkeypatch):
    assert cache_folder().name == "cache"
    monkeypatch.delenv("PARTWAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/partway")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/partway"


@pytest.mark.parametrize(
    ("given", "engine", "options"),
    [
        ({}, "openvino", EngineOptions(precision="bf16", static=True, batch=1, threads=1)),
        ({"static": False}, "openvino", EngineOptions(precision="bf16", batch=1, threads=1)),
        ({"engine": "onnxruntime"}, "onnxruntime", EngineOptions()),
        ({"precision": "fp32"}, "onnxruntime", EngineOptions(precision="fp32")),
        ({"engine": "auto"}, "auto", EngineOptions(precision="fastest", static=True)),
    ],
)
@pytest.mark.parametrize("preset", ["exact", "balanced", "fast"])
def test_presets_take_the_fastest_that_is_what_the_user_sets(preset, given, engine, options):
    assert presets.options(preset, given, [row(BF16, decibels=40), row()]) == (engine, options)


def test_presets_leave_what_is_far_from_float32_and_gpus_where_memory_is_limited():
    rows = [row({"engine": "openvino", "device": "GPU"}), row(BF16, decibels=tuned.NEAR - 1), row()]
    assert presets.options("exact", {}, rows)[1].device == "GPU"
    assert presets.options("exact", {}, rows[1:]) == ("onnxruntime", EngineOptions())
    assert presets.options("exact", {"memory_limit": "1GB"}, rows)[0] == "onnxruntime"


def test_nobody_else_takes_it():
    assert presets.options(None, {}, [row(BF16)]) == ("auto", EngineOptions())
    assert presets.options("tiny", {}, [row(BF16)]) == presets.options("tiny", {})


def test_a_tuned_model_loads_so_and_runs(split_folder, package, picture):
    tuned.keep(package, [row({**PLAIN, "batch": 1})])
    pipe = partway.load(split_folder, preset="balanced")
    assert (type(pipe.engine).__name__, pipe.planner.options) == ("OnnxRuntime", EngineOptions(batch=1))
    run = pipe.stream("a room", picture, strength=0.5)
    assert run.plan.seconds and run.plan.seconds == partway.plan(
        split_folder, preset="balanced", strength=0.5, width=picture.width, height=picture.height
    ).seconds  # fmt: skip
    assert partway.load(split_folder).plan().seconds is None  # two rows a call were not measured


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        # two texts, the VAE both ways, and four calls of two predictions
        ({}, 2 * 0.5 + 2 + 4 * 2 * 10 + 4),
        ({"guidance_scale": 1}, 0.5 + 2 + 4 * 10 + 4),
        # every other call is shallow
        ({"reuse": 1.0}, 2 * 0.5 + 2 + 2 * 2 * 10 + 2 * 2 * 3 + 4),
        ({"seed": [1, 2, 3]}, 2 * 0.5 + 2 + 3 * (4 * 2 * 10 + 4)),
        ({"strength": 0}, 0),
        ({"denoising_start": 0.5}, 2 * 0.5 + 4 * 2 * 10 + 4),
        ({"width": 128, "height": 192}, 2 * 0.5 + 6 * (2 + 4 * 2 * 10 + 4)),
        # 4 tiles of the measured size
        ({"width": 112, "height": 112, "tile": 64}, 2 * 0.5 + 4 * (2 + 4 * 2 * 10 + 4)),
        ({"width": 128, "height": 64, "vae_tile": 64}, 2 * 0.5 + 3 * (2 + 4) + 2 * 4 * 2 * 10),
    ],
)
def test_seconds_are_those_of_the_calls(package, split_folder, settings, seconds):
    tuned.keep(package, [row()])
    chosen = {"steps": 8, "strength": 0.5, "sampler": "ddim", **settings}
    assert partway.plan(split_folder, **chosen).seconds == pytest.approx(seconds)


def test_guidance_in_some_calls_counts_in_those(package, split_folder):
    tuned.keep(package, [row(seconds=dict.fromkeys(EACH, 0.0) | {"unet": 1.0})])
    plan = partway.plan(split_folder, steps=8, strength=0.5, sampler="ddim", guidance_max_sigma=1.0)
    assert 0 < plan.guided_calls < plan.network_calls
    assert plan.seconds == pytest.approx(plan.network_calls + plan.guided_calls)


def test_the_nearest_size_is_asked(package, split_folder):
    tuned.keep(package, [row(seconds=dict.fromkeys(EACH, 1.0))])
    tuned.keep(package, [row(size=(128, 128), seconds=dict.fromkeys(EACH, 0.0))])
    assert partway.plan(split_folder, width=120, height=128).seconds == 0
    assert partway.plan(split_folder, width=64, height=72).seconds > 0


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 1},
        {"batch": 1},
        {"release": True},
    ],
)
def test_what_was_not_measured_is_not_told(package, split_folder, options):
    tuned.keep(package, [row()])
    assert partway.plan(split_folder).seconds is not None
    assert partway.plan(split_folder, options=EngineOptions(**options)).seconds is None


def test_a_network_that_was_not_measured_is_not_guessed(package, split_folder):
    tuned.keep(package, [row(seconds={name: 1.0 for name in EACH if name != "unet_shallow"})])
    assert partway.plan(split_folder, reuse=0).seconds is not None
    assert partway.plan(split_folder, reuse=1.0).seconds is None


def test_a_limit_that_releases_networks_takes_the_seconds_away(package):
    planner = Planner("onnxruntime", EngineOptions(), (row(),))
    run = (package, package.settings({}), starts.imagined(True, package, width=64, height=64))
    plan = planner.planned(*run).plan
    assert plan.seconds is not None
    limited = replace(planner, options=EngineOptions(memory_limit=plan.peak_bytes - 1))
    assert limited.planned(*run).plan.seconds is None


def test_the_command_line_says_the_seconds_or_how_to_know_them(package, split_folder, capsys):
    assert cli.main(["plan", "-m", str(split_folder)]) == 0
    assert capsys.readouterr().out.endswith(f"\ntime: partway tune {split_folder} tells the seconds\n")
    assert cli.main(["plan", "-m", str(split_folder), "--json"]) == 0
    assert '"seconds": null' in capsys.readouterr().out
    assert cli.main(["plan"]) == 0
    assert "time" not in capsys.readouterr().out.replace("timestep", "")
    tuned.keep(package, [row({**PLAIN, "batch": 1})])
    assert cli.main(["plan", "-m", str(split_folder), "--preset", "exact"]) == 0
    said = capsys.readouterr().out
    assert "\ntime: about 267 s, once networks are loaded\n" in said


@pytest.mark.parametrize(
    ("text", "physical"),
    [
        ("processor: 0\nphysical id: 0\ncore id: 0\n\nprocessor: 1\nphysical id: 0\ncore id: 0\n\n", 1),
        ("processor: 0\nphysical id: 0\ncore id: 0\n\nprocessor: 1\nphysical id: 1\ncore id: 0\n\n", 2),
        ("processor: 0\nphysical id: 0\ncore id: 0\n\nprocessor: 5\nphysical id: 0\ncore id: 1\n\n", 1),
        ("processor: 0\n\nprocessor: 1\n\n", None),
        ("", None),
    ],
)
def test_physical_cores(tmp_path, monkeypatch, text, physical):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "_usable", lambda: {0, 1})
    assert machine.physical_cores() == physical and machine.cores() == 2
