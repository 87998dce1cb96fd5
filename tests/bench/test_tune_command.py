"""``partway tune``: what it tries, what it takes, what it keeps; and once in earnest, on a model of a few kilobytes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway import cli
from partway.bench import processes as bench
from partway.budget import tuned
from partway.errors import NetworkError
from partway.model.package import open_package
from partway.support import machine

PLAIN = {"engine": "onnxruntime", "device": "CPU"}
FP32 = {"engine": "openvino", "device": "CPU", "precision": "fp32"}
BF16 = {"engine": "openvino", "device": "CPU", "precision": "bf16"}
WAYS = {"plain": PLAIN, "fp32": FP32, "fp32 static": FP32 | {"static": True}, "bf16": BF16}


class Machine:
    """Runs nothing: seconds of a UNet call by configuration, and how far a precision's pictures are off, in levels."""

    def __init__(self, seconds, off=1):
        self.seconds, self.off, self.jobs = seconds, off, []

    def run(self, job, out, *, first_steps):
        self.jobs.append(job)
        load = job.options | ({} if job.threads is None else {"threads": job.threads})
        plain = {key: value for key, value in load.items() if key not in ("batch", "threads")}
        name = next(name for name, options in WAYS.items() if options == plain)
        for option in ("batch", "threads"):
            name += f", {option} {load[option]}" if option in load else ""
        took = self.seconds.get(name, 100.0)
        if took is None:
            raise NetworkError(f"{name} is broken")
        pixels = np.random.default_rng(0).integers(0, 200, (64, 64, 3))
        pixels += self.off * (load.get("precision") == "bf16")
        Image.fromarray(pixels.astype(np.uint8)).save(out / "picture.png")
        calls = {"text_encoder": 2, "vae_encoder": 1, "unet": 3, "vae_decoder": 1}
        seconds = {"text_encoder": 0.2, "vae_encoder": 1.0, "unet": 3 * took, "vae_decoder": 2.0}
        if job.settings:
            assert job.settings == {"reuse": 1.0}
            calls, seconds = calls | {"unet_shallow": 2}, seconds | {"unet_shallow": 1.0, "unet": 999.0}
        return {"warm": {"calls": calls, "seconds": seconds}, "peak_bytes": 2e9}


@pytest.fixture
def tune(toy_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PARTWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "configurations", lambda package: WAYS)
    monkeypatch.setattr(machine, "cores", lambda: 2)

    def run(here, *arguments, model=toy_folder, physical=2):
        monkeypatch.setattr(bench, "run", here.run)
        monkeypatch.setattr(machine, "physical_cores", lambda: physical)
        code = cli.main(["tune", str(model), *arguments])
        known = tuned.measured(open_package(model))
        return code, capsys.readouterr(), known

    return run


def names(said):
    return [line.split("  ")[0] for line in said.out.splitlines()[2:-2]]


def test_the_fastest_is_kept_first_and_why_is_said(tune):
    code, said, known = tune(Machine({"plain": 4.0, "fp32": 3.0, "fp32 static": 2.0, "bf16": 1.0}))
    assert code == 0 and names(said) == [*WAYS, "bf16, batch 1"]
    assert [one.options for one in known] == [BF16, FP32 | {"static": True}, FP32, PLAIN, BF16 | {"batch": 1}]
    assert known[0].seconds == {"text_encoder": 0.1, "vae_encoder": 1.0, "unet": 0.5, "vae_decoder": 2.0}
    assert 40 < known[0].decibels < 60 and known[1].decibels == 100 and known[3].decibels is None
    because, kept = said.out.splitlines()[-2:]
    # 13 calls, 0.2 s of text, 3 s of VAE: 16.2 s against 29.2 s and 55.2 s
    assert because.startswith(
        "bf16 is the fastest: about 16 s for 20 steps at strength 0.6, 1.80 times as fast as fp32 static (the next), "
        "3.41 times as fast as plain (what runs without a preset); its picture is "
    )
    assert because.endswith(" dB from that of fp32")
    assert kept.startswith("the presets exact, balanced and fast take it") and Path(kept.split()[-1]).is_file()


def test_what_is_far_from_float32_is_not_taken(tune):
    _, said, known = tune(Machine({"plain": 4.0, "fp32": 3.0, "fp32 static": 2.0, "bf16": 1.0}, off=55))
    assert known[0].options == FP32 | {"static": True} and known[-1].options == BF16 and not known[-1].near
    assert "fp32 static is the fastest" in said.out and "fp32 static, batch 1" in said.out


def test_two_calls_and_more_threads_are_tried_on_the_fastest_alone(tune):
    here = Machine({"fp32": 3.0, "fp32, batch 1": 2.0, "fp32, batch 1, threads 2": 1.0})
    _, said, known = tune(here, physical=1)
    assert names(said)[4:] == ["fp32, batch 1", "fp32, batch 1, threads 2"]
    assert known[0].options == FP32 | {"batch": 1, "threads": 2}
    assert {job.threads for job in here.jobs[:-1]} == {None} and "threads" not in here.jobs[-1].options


def test_threads_that_are_given_are_those_of_all(tune):
    here = Machine({"plain, threads 1": 3.0})
    _, said, known = tune(here, "--threads", "1", physical=1)
    assert {job.threads for job in here.jobs} == {1} and names(said)[4:] == ["plain, batch 1"]
    assert known[0].options == PLAIN | {"threads": 1}


def test_without_guidance_there_is_no_pair(tune, tmp_path):
    model = toy.build(tmp_path / "model", guidance_width=8)
    here = Machine({"plain": 3.0})
    code, said, known = tune(here, model=model)
    assert code == 0 and names(said) == list(WAYS)
    assert known[0].seconds["unet"] == 3.0


def test_networks_beyond_a_plain_picture_are_measured_of_the_best(tune, split_folder):
    here = Machine({"bf16": 1.0})
    _, _, known = tune(here, model=split_folder)
    assert here.jobs[-1].settings == {"reuse": 1.0} and here.jobs[-1].options == BF16
    assert known[0].seconds["unet_shallow"] == 0.5 and known[0].seconds["unet"] == 0.5
    assert all("unet_shallow" not in one.seconds for one in known[1:])
    assert partway.plan(split_folder, preset="fast").seconds > 0


def test_what_fails_is_a_row_and_the_rest_is_kept(tune):
    code, said, known = tune(Machine({"plain": 4.0, "fp32": None, "fp32 static": None, "bf16": None}))
    assert code == 0 and said.out.count("is broken") == 3
    assert [one.options for one in known] == [PLAIN, PLAIN | {"batch": 1}]


def test_where_nothing_runs_nothing_is_kept(tune):
    code, said, known = tune(Machine(dict.fromkeys(WAYS)))
    assert code == 1 and known == ()
    assert said.err.count("\n") == 1 and "runs on nothing here" in said.err


def test_json_lines(tune):
    code, said, known = tune(Machine({"bf16": 1.0}), "--json", "--width", "128")
    *rows, last = map(json.loads, said.out.splitlines())
    assert code == 0 and [one["name"] for one in rows] == [*WAYS, "bf16, batch 1"]
    assert rows[3]["measured"]["size"] == [128, 64] and known[0].size == (128, 64)
    assert last["best"] == "bf16" and last["because"].startswith("bf16 is the fastest")


def test_in_earnest(toy_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PARTWAY_CACHE", str(tmp_path / "cache"))
    assert cli.main(["tune", str(toy_folder), "--engine", "onnxruntime", "--device", "cpu", "--threads", "1"]) == 0
    assert "onnxruntime CPU fp32, batch 1" in capsys.readouterr().out
    known = tuned.measured(open_package(toy_folder))
    assert len(known) == 2 and {one.decibels for one in known} == {None, 100}  # the same picture both ways
    assert all(value > 0 for one in known for value in one.seconds.values())
    assert partway.load(toy_folder, preset="exact").plan().seconds > 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["nowhere"], ["MODEL", "--width", "4"], ["MODEL", "--threads", "0"], ["MODEL", "--precision", "fp4"]],
)
def test_bad_input_is_one_line(toy_folder, arguments, capsys):
    assert cli.main(["tune", *(str(toy_folder) if one == "MODEL" else one for one in arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("partway: error: ")


def test_a_cache_that_cannot_be_written_is_refused_before_anything_runs(tune, tmp_path):
    (tmp_path / "cache").write_text("")
    here = Machine({})
    code, said, _ = tune(here)
    assert code == 2 and here.jobs == [] and "set PARTWAY_CACHE" in said.err
