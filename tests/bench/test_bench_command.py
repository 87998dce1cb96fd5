"""``partway bench``: each configuration in a process of its own, on a model of a few kilobytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import toy
from partway import cli
from partway.bench import measuring
from partway.bench import processes as bench
from partway.model.package import open_package

ARGUMENTS = [
    "--sampler",
    "ddim",
    "--steps",
    "4",
    "--strength",
    "0.5",
    "--width",
    "32",
    "--height",
    "24",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(toy.build(tmp_path_factory.mktemp("models") / "toy"))


def test_a_line_of_json_a_configuration(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", model, *ARGUMENTS, "--engine", "onnxruntime", "--device", "cpu", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert record["configuration"] == "onnxruntime CPU fp32" and record["threads"] == 1
    assert (record["width"], record["height"], record["steps"], record["strength"]) == (32, 24, 4, 0.5)
    for picture in (record["first"], record["warm"]):
        assert picture["calls"] == {"text_encoder": 2, "vae_encoder": 1, "unet": 2, "vae_decoder": 1}
        assert picture["seconds"]["total"] > picture["seconds"]["unet"] > 0
    assert record["cold_seconds"] > record["open_seconds"] + record["first"]["seconds"]["total"]
    assert record["peak_bytes"] > 2e7


def test_a_table_without_torch(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", model, *ARGUMENTS, "--engine", "onnxruntime", "--device", "cpu"]) == 0
    title, head, row = capsys.readouterr().out.splitlines()
    assert "32x24, 4 steps" in title and "(2 UNet calls)" in title
    assert len(row.split()) == 3 + len(head.replace("UNet call", "call").split())
    code = "import sys, partway.cli.bench, partway.bench.measuring; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_every_precision_of_openvino_twice(model: str) -> None:
    pytest.importorskip("openvino")
    found = bench.configurations(open_package(Path(model)))
    assert {"onnxruntime CPU fp32", "openvino CPU fp32", "openvino CPU fp32 static"} <= set(found)
    assert found["openvino CPU fp32 static"] == {
        "engine": "openvino", "device": "CPU", "precision": "fp32", "static": True
    }  # fmt: skip


def test_a_configuration_that_fails_is_a_row_and_code_1(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"engine": "onnxruntime", "device": "CPU", "precision": "bf16"}
    monkeypatch.setattr(bench, "configurations", lambda package: {"broken": broken})
    assert cli.main(["bench", model, *ARGUMENTS]) == 1
    assert "failed: " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["MODEL", "--strength", "1.5"],
        ["MODEL", "--strength", "0"],
        ["MODEL", "--steps", "0"],
        ["MODEL", "--width", "4"],
        ["MODEL", "--threads", "0"],
        ["MODEL", "--engine", "abacus"],
        ["MODEL", "--sampler", "guess"],
        ["MODEL", "--precision", "fp4"],
        [],
    ],
)
def test_bad_input_is_one_line(model: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *(model if one == "MODEL" else one for one in arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("partway: error: ")


def test_models_that_follow_instructions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = toy.build(tmp_path / "told", instruct=True)
    assert cli.main(["bench", str(told)]) == 2
    assert "instructions" in capsys.readouterr().err


def test_measuring_needs_nothing_of_partway(tmp_path: Path) -> None:
    code = (
        f"import runpy, sys; runpy.run_path({measuring.__file__!r}); print([n for n in sys.modules if 'partway' in n])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "[]\n", done.stderr
