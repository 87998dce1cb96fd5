"""The benchmark of a model's file: the file is what it says, every piece runs at a tiny size, and tables are made."""

from pathlib import Path

import pytest

from benchmarks import checkpoints, random_files, records
from benchmarks.checkpoint_tables import checkpoints as tables
from partway.model.package import open_package


@pytest.mark.parametrize(("size", "counts"), [("sd15", (686, 248, 859.5)), ("sdxl", (1680, 248, 2567.5))])
def test_sizes_are_the_published_ones(size: str, counts: tuple[int, int, float]) -> None:
    shapes = random_files.shapes(random_files.SIZES[size])
    unet = [name for name in shapes if name.startswith("model.diffusion_model.")]
    vae = [name for name in shapes if name.startswith("first_stage_model.")]
    millions = sum(random_files.prod(shapes[name]) for name in unet) / 1e6
    assert (len(unet), len(vae), round(millions, 1)) == counts


@pytest.mark.parametrize(
    ("size", "family"), [("tiny", "StableDiffusionPipeline"), ("tiny-xl", "StableDiffusionXLPipeline")]
)
def test_a_file_is_a_whole_model(tmp_path: Path, size: str, family: str) -> None:
    random_files.write(tmp_path / "model.safetensors", random_files.SIZES[size])
    package = open_package(tmp_path / "model.safetensors")
    assert package.family == family and not package.checkpoint.idle


@pytest.mark.thorough
def test_every_piece_runs_and_has_a_table(tmp_path: Path) -> None:
    small = ["--work", str(tmp_path), "--size", "tiny", "--side", "64", "--steps", "2", "--threads", "1"]
    small += ["--rounds", "1", "--results", str(tmp_path / "results.jsonl")]
    assert checkpoints.main(["export", *small]) == 0
    cases = ["partway, file, onnxruntime", "partway, file, openvino", "partway, IR fp16, openvino", "diffusers fp32"]
    assert checkpoints.main(["pictures", *small, "--cases", *cases]) == 0
    assert checkpoints.main(["calls", *small]) == 0
    assert checkpoints.main(["levels", *small, "--cases", "extended", "all, no packing"]) == 0
    found = records.of_newest_commit(records.read(tmp_path / "results.jsonl"))
    assert all(record["apart"] < 1e-3 for record in found if record["what"] == "calls")
    text = tables(found)
    for name in (*cases, "onnx fp16", "openvino fp16", "extended", "all, no packing"):
        assert f"| {name} |" in text


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--work", str(tmp_path), "--size", "tiny", "--results", str(tmp_path / "results.jsonl")]
    assert checkpoints.main(["pictures", *small, "--cases", "partway, IR fp16, openvino"]) == 1
    assert "openvino is not there" in capsys.readouterr().err
