"""One line for each thing that can be wrong, and nothing left behind."""

import errno
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from partway import cli
from partway.errors import NetworkError, PackageError
from partway_export import guard
from partway_export import stages as stage


def refuse(capsys, *argv, code=2):
    """Run the command, which must fail with one line and this exit code, that of bad input; return the line."""
    assert cli.main(["export", *(str(arg) for arg in argv)]) == code
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("partway: error: ")
    return line


def test_missing_source(tmp_path, capsys):
    assert "does not exist" in refuse(capsys, tmp_path / "none", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_file_as_source(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert "is a file" in refuse(capsys, tmp_path / "model.safetensors", tmp_path / "out")


def test_folder_that_is_not_diffusers(tmp_path, capsys):
    assert "no model_index.json" in refuse(capsys, tmp_path, tmp_path / "out")
    (tmp_path / "model_index.json").write_text("{")
    assert "cannot be read" in refuse(capsys, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_pipeline(tmp_path, capsys):
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    line = refuse(capsys, tmp_path, tmp_path / "out")
    assert "FluxPipeline" in line and "StableDiffusionPipeline" in line


def test_revision_of_a_local_folder(tiny_model, tmp_path, capsys):
    assert "--revision" in refuse(capsys, tiny_model("sd1"), tmp_path / "out", "--revision", "main")


def test_existing_output(tiny_model, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert "not an empty folder" in refuse(capsys, tiny_model("sd1"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_damaged_weights(tiny_model, tmp_path, capsys):
    model = shutil.copytree(tiny_model("sd1"), tmp_path / "model")
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be loaded" in refuse(capsys, model, tmp_path / "out")


def test_tokenizer_without_merges(tiny_model, tmp_path, capsys):
    model = shutil.copytree(tiny_model("sd1"), tmp_path / "model")
    (model / "tokenizer" / "merges.txt").unlink()
    assert "merges.txt" in refuse(capsys, model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_option_values(capsys):
    for option in (["--to", "tflite"], ["--weights", "int3"]):
        assert "invalid choice" in refuse(capsys, "a", "b", *option)
    assert "did you mean --weights?" in refuse(capsys, "a", "b", "--weigths", "int8")


def test_an_output_that_cannot_be_written(tiny_model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refuse(capsys, tiny_model("sd1"), tmp_path / "file" / "out")


@pytest.mark.parametrize("library", ["torch", "diffusers", "optimum"])
def test_missing_library(tiny_model, tmp_path, library):
    code = f"import sys; sys.modules[{library!r}] = None; from partway.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "export", str(tiny_model("sd1")), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=None)
    assert done.returncode == 2
    assert 'pip install -c constraints.txt ".[export]"' in done.stderr.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tiny_model, tmp_path, capsys, monkeypatch):
    def write(model, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage, "write", write)
    assert "disk is full" in refuse(capsys, tiny_model("sd1"), tmp_path / "out", code=1)
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_is_noticed_before_the_work(tmp_path):
    guard.check_space(tmp_path, 1)
    with pytest.raises(PackageError, match=r"needs 1000000000\.0 GB"):
        guard.check_space(tmp_path, 10**18)


def test_broken_network_is_named_and_nothing_is_left(tiny_model, tmp_path, monkeypatch):
    finish = stage.finish

    def finish_badly(path, to, weights):
        finish(path, to, weights)
        if path.parent.name == "unet":
            model = onnx.load(path)
            tensor = next(item for item in model.graph.initializer if item.dims and np.prod(item.dims) > 5000)
            tensor.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(tensor), tensor.name))
            onnx.save(model, path)

    monkeypatch.setattr(stage, "finish", finish_badly)
    heard = []
    with pytest.raises(NetworkError, match=r"unet differs too much from torch: -?\d+\.\d dB, and at least 35 dB"):
        stage.export(tiny_model("sd1"), tmp_path / "out", say=heard.append)
    assert any("vae_encoder" in line and "dB" in line for line in heard)
    assert list(tmp_path.iterdir()) == []


def test_import_is_light():
    code = "import partway_export.cli, sys; print(*{'torch', 'diffusers', 'onnx', 'openvino'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
