"""``partway doctor`` on whole and broken folders."""

import json
from pathlib import Path

import numpy as np
import pytest

import partway
import toy
from command import Captured, run
from partway.pictures import metadata


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A toy folder with checksums and goldens, as partway export leaves them."""
    folder = toy.build(tmp_path / "exported")
    pipe = partway.load(folder)
    rng = np.random.default_rng(0)
    goldens = {}
    (folder / "goldens").mkdir()
    for network in pipe.package.networks:
        ports = pipe.engine.signature(network).inputs
        inputs = {
            name: rng.normal(size=[size or (77 if "ids" in name else 16) for size in port.shape]).astype(port.dtype)
            if "int" not in port.dtype
            else np.ones([size or 77 for size in port.shape], port.dtype)
            for name, port in ports.items()
        }
        for name, port in ports.items():
            if port.shape and port.shape[0] is None:
                inputs[name] = inputs[name][:1]
        outputs = pipe.engine.run(network, inputs)
        arrays = {f"inputs/{name}": value for name, value in inputs.items()}
        arrays |= {f"outputs/{name}": value for name, value in outputs.items()}
        goldens[network] = f"goldens/{network}.npz"
        np.savez(folder / goldens[network], **arrays)
    described = {
        str(path.relative_to(folder)): {"sha256": metadata.file_hash(path), "bytes": path.stat().st_size}
        for path in folder.rglob("*")
        if path.is_file()
    }
    verification = {network: {"psnr": 100.0, "gate": 70.0} for network in goldens}
    manifest = {"files": described, "goldens": goldens, "verification": verification}
    (folder / "partway.json").write_text(json.dumps(manifest))
    return folder


def checks(out: str) -> dict[str, bool]:
    lines = [line.split() for line in out.splitlines() if line.startswith(("ok ", "FAIL "))]
    return {name: word == "ok" for word, name, *_ in lines}


@pytest.mark.parametrize("engine_name", ["onnxruntime", "openvino"])
def test_doctor_passes_a_whole_folder(capsys: Captured, exported: Path, engine_name: str) -> None:
    pytest.importorskip(engine_name)
    code, out, _ = run(capsys, "doctor", exported, "--engine", engine_name)
    found = checks(out)
    assert (code, all(found.values())) == (0, True)
    assert {"unet/model.onnx", "goldens/unet.npz", "unet", "vae_encoder", "vae_decoder", "text_encoder"} <= set(found)
    assert "expected" in out


def test_doctor_finds_changed_and_missing_files(capsys: Captured, exported: Path) -> None:
    vocabulary = exported / "tokenizer/vocab.json"
    vocabulary.write_bytes(vocabulary.read_bytes().replace(b"!", b"?", 1))
    (exported / "tokenizer/merges.txt").write_text("")
    (exported / "tokenizer/special_tokens_map.json").unlink()
    code, out, _ = run(capsys, "doctor", exported)
    assert code == 1
    assert {name for name, passed in checks(out).items() if not passed} == {
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
    }


def test_doctor_finds_a_network_that_computes_something_else(capsys: Captured, exported: Path) -> None:
    golden = exported / "goldens/vae_decoder.npz"
    with np.load(golden) as arrays:
        changed = {name: array + (0.05 if name.startswith("outputs/") else 0) for name, array in arrays.items()}
    np.savez(golden, **changed)
    (exported / "goldens/unet.npz").write_bytes(b"not an archive")
    code, out, _ = run(capsys, "doctor", exported)
    failed = {name for name, passed in checks(out).items() if not passed}
    assert code == 1
    assert {"vae_decoder", "unet"} <= failed
    assert failed <= {"vae_decoder", "unet", "goldens/vae_decoder.npz", "goldens/unet.npz"}


def test_doctor_without_goldens_loads_the_networks(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "doctor", model)
    assert code == 0
    assert "no partway.json" in out
    assert set(checks(out)) == {"text_encoder", "unet", "unet_shallow", "vae_encoder", "vae_decoder"}


def test_doctor_reports_a_network_cut_short(capsys: Captured, tmp_path: Path) -> None:
    folder = toy.build(tmp_path / "cut")
    network = folder / "unet/model.onnx"
    network.write_bytes(network.read_bytes()[:200])
    code, out, _ = run(capsys, "doctor", folder)
    assert code == 1
    assert [name for name, passed in checks(out).items() if not passed] == ["unet"]
