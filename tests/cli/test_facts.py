"""Commands that make no picture: plan, lists, info, devices."""

import json
from pathlib import Path
from typing import Any

import pytest

import partway
import toy
from command import Captured, run


def test_plan_needs_no_model(capsys: Captured) -> None:
    code, out, _ = run(capsys, "plan", "--strength", 0.45, "--steps", 20)
    assert code == 0
    assert "9 steps run" in out
    assert len(out.splitlines()) == 3 + 1 + 9


def test_plan_as_json_is_the_plan(capsys: Captured, model: Path) -> None:
    _, out, _ = run(capsys, "plan", "--steps", 5, "--sampler", "heun", "--json")
    assert json.loads(out) == json.loads(json.dumps(partway.plan(steps=5, sampler="heun").as_dict()))
    _, out, _ = run(capsys, "plan", "--steps", 5, "--json", "--model", model, "--txt2img")
    assert json.loads(out) == json.loads(json.dumps(partway.load(model).plan(steps=5, image=False).as_dict()))


def test_plan_compare_has_a_row_for_every_dial(capsys: Captured) -> None:
    _, out, _ = run(capsys, "plan", "--compare", "--steps", 10, "--strength", 0.55)
    rows = {line.split()[0]: line.split() for line in out.splitlines()[2:]}
    assert set(rows) == set(partway.DIALS)
    for dial, row in rows.items():
        plan = partway.plan(steps=10, strength=0.55, dial=dial)
        assert [int(row[1]), int(row[2])] == [plan.steps_run, plan.network_calls]
        assert float(row[3]) == pytest.approx(plan.start_sigma, abs=1e-4)
    assert run(capsys, "plan", "--compare", "--strength", 0)[0] == 0


@pytest.mark.parametrize(
    ("command", "names"),
    [("samplers", partway.SAMPLERS), ("schedules", partway.SCHEDULES), ("dials", partway.DIALS)],
)
def test_lists_name_everything_with_a_description(capsys: Captured, command: str, names: dict[str, Any]) -> None:
    code, out, _ = run(capsys, command)
    assert code == 0
    rows = [line.split(maxsplit=1) for line in out.splitlines() if not line.startswith("name ")]
    assert [row[0] for row in rows] == list(names)
    assert all(len(row[1]) > 10 for row in rows)


def test_info_says_what_a_folder_holds(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "info", model)
    assert code == 0
    for words in ("StableDiffusionPipeline", "ONNX", "epsilon", "plms sampler", "no partway.json", "unet/model.onnx"):
        assert words in out


def test_info_shows_the_manifest(capsys: Captured, tmp_path: Path) -> None:
    folder = toy.build(tmp_path / "toy")
    manifest = {"source": "someone/model", "revision": "abc", "licence": "mit", "weights": "int8"}
    (folder / "partway.json").write_text(json.dumps(manifest))
    _, out, _ = run(capsys, "info", folder)
    for words in ("someone/model at abc", "mit", "int8"):
        assert words in out


def test_devices_lists_the_cpu(capsys: Captured) -> None:
    code, out, _ = run(capsys, "devices")
    assert code == 0
    assert ["onnxruntime", "CPU"] in [line.split()[:2] for line in out.splitlines()]
