"""One line for each thing that can be wrong, and nothing left behind."""

import errno
import shutil
import subprocess
import sys

import numpy as np
import pytest

from partway import cli
from partway.errors import NetworkError, PackageError
from partway_export import guard, onnx_networks, openvino_networks
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


def test_a_file_that_is_no_model(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert "is no .safetensors file" in refuse(capsys, tmp_path / "model.safetensors", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_package_as_source(package, tmp_path, capsys):
    assert "is exported already" in refuse(capsys, package("onnx-fp32").folder, tmp_path / "out")


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
    assert "unet/diffusion_pytorch_model.safetensors" in refuse(capsys, model, tmp_path / "out")


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


@pytest.mark.parametrize(("library", "options"), [("torch", ["--verify"]), ("nncf", ["--weights", "w8a8"])])
def test_what_needs_a_library_that_is_missing(tiny_model, tmp_path, library, options):
    code = f"import sys; sys.modules[{library!r}] = None; from partway.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "export", str(tiny_model("sd1")), str(tmp_path / "out")]
    done = subprocess.run([*command, "--to", "openvino", *options], capture_output=True, text=True, env=None)
    assert done.returncode == 2
    assert 'pip install -c constraints.txt ".[export]"' in done.stderr.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tiny_model, tmp_path, capsys, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage, "write_network", write)
    assert "disk is full" in refuse(capsys, tiny_model("sd1"), tmp_path / "out", code=1)
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_is_noticed_before_the_work(tmp_path):
    guard.check_space(tmp_path, 1)
    with pytest.raises(PackageError, match=r"needs 1000000000\.0 GB"):
        guard.check_space(tmp_path, 10**18)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_broken_network_is_named_and_nothing_is_left(tiny_model, tmp_path, monkeypatch, to):
    read = onnx_networks.read

    def read_badly(weight):
        values = read(weight)
        return 2 * values if "unet" in str(weight.source.path) and np.size(values) > 5000 else values

    for module in (onnx_networks, openvino_networks):
        monkeypatch.setattr(module, "read", read_badly)
    heard = []
    with pytest.raises(NetworkError, match=r"unet differs too much from the .*: -?\d+\.\d dB, and at least 35 dB"):
        stage.export(tiny_model("sd1"), tmp_path / "out", to=to, say=heard.append)
    assert any("vae_encoder" in line and "dB" in line for line in heard)
    assert list(tmp_path.iterdir()) == []


def test_import_is_light():
    code = "import partway_export.cli, sys; print(*{'torch', 'diffusers', 'onnx', 'openvino'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
