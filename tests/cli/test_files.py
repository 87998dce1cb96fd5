"""The command line on a model that is one file; a small one, whose weights are made up."""

import json
from pathlib import Path

import numpy as np
import pytest

import checkpoint_shapes as shapes
import stored
from command import Captured, run
from partway.pictures import metadata


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        name: (rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(np.float16)
        for name, shape in shapes.sd1().items()
    }
    return stored.write(tmp_path_factory.mktemp("model") / "dream.safetensors", arrays)


def test_a_picture_by_the_name_of_a_file(capsys: Captured, model: Path) -> None:
    arguments = ("a cozy room", "--model", model, "--steps", 2, "--strength", 0.5, "-o", "out.png")
    assert run(capsys, "img2img", "room.png", *arguments)[0] == 0
    record = metadata.read_parameters("out.png")
    assert record["model"]["name"] == "dream.safetensors"
    assert record["model"]["sha256"] == metadata.file_hash(model)
    assert str(model.parent) not in json.dumps(record)


def test_a_picture_with_another_vae(capsys: Captured, model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) / 9 for name, shape in shapes.vae().items()}
    vae = stored.write(tmp_path / "other.safetensors", arrays)
    arguments = ("a cozy room", "--model", model, "--steps", 2, "--strength", 0.5)
    assert run(capsys, "img2img", "room.png", *arguments, "-o", "own.png")[0] == 0
    assert run(capsys, "img2img", "room.png", *arguments, "--vae", vae, "-o", "other.png")[0] == 0
    assert Path("own.png").read_bytes() != Path("other.png").read_bytes()
    assert metadata.read_parameters("other.png")["load"]["vae"] == "other.safetensors"


def test_a_tiny_vae_of_its_author_is_taken_by_default(capsys: Captured, model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for half in ("encoder", "decoder"):
        arrays = {name: rng.standard_normal(shape).astype(np.float32) / 9 for name, shape in shapes.taesd(half).items()}
        vae = stored.write(tmp_path / f"taesd_{half}.safetensors", arrays)
    arguments = ("a cozy room", "--model", model, "--steps", 2, "--strength", 0.5, "--vae", vae)
    assert run(capsys, "img2img", "room.png", *arguments, "-o", "tiny.png")[0] == 0
    record = metadata.read_parameters("tiny.png")
    assert (record["settings"]["vae"], record["load"]["vae"]) == ("tiny", "taesd_decoder.safetensors")
    assert run(capsys, "img2img", "room.png", "--from-png", "tiny.png", "--model", model, "-o", "again.png")[0] == 0
    assert Path("again.png").read_bytes()[-1000:] == Path("tiny.png").read_bytes()[-1000:]
    code, out, _ = run(capsys, "plan", "--model", model, "--vae", vae, "--json")
    assert code == 0
    calls = json.loads(out)["calls"]
    assert calls["tiny_encoder"] == calls["tiny_decoder"] == 1 and not calls.get("vae_decoder")
    code, out, _ = run(capsys, "info", model, "--vae", vae)
    assert code == 0 and "tiny_vae" in out
    (tmp_path / "taesd_encoder.safetensors").unlink()
    code, _, err = run(capsys, "plan", "--model", model, "--vae", vae)
    assert code == 2 and "put the other one beside it: taesd_encoder.safetensors" in err


def test_what_a_file_predicts_can_be_told_everywhere(capsys: Captured, model: Path) -> None:
    for command in (
        ("info", model),
        ("plan", "--model", model),
        ("plan", "--model", model, "--match", "diffusers:0.5"),
    ):
        assert run(capsys, *command, "--prediction", "v_prediction")[0] == 0
        code, _, err = run(capsys, *command, "--prediction", "w")
        assert code == 2 and "v_prediction" in err
    assert "v_prediction" in run(capsys, "info", model, "--prediction", "v_prediction")[1]


def test_info_says_what_it_was_taken_for_and_why(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "info", model)
    assert code == 0
    facts = {line.split()[0]: line for line in out.splitlines()}
    assert "Stable Diffusion 1.x" in facts["taken"]
    assert "width 64" in facts["because"] and "epsilon" in facts["because"]
    assert "tensors of F16" in facts["unet"]


def test_doctor_compares_two_engines(capsys: Captured, model: Path) -> None:
    pytest.importorskip("openvino")
    code, out, _ = run(capsys, "doctor", model)
    assert code == 0, out
    lines = [line for line in out.splitlines() if line.startswith("ok ")]
    assert len(lines) == 5 and all("dB between two engines" in line for line in lines)


def test_a_plan_tells_memory_without_loading(capsys: Captured, model: Path) -> None:
    code, out, _ = run(capsys, "plan", "--model", model, "--json", "--width", 256, "--height", 256)
    assert code == 0
    assert json.loads(out)["peak_bytes"] > 50e6


BAD = {
    "a LoRA": {"lora_unet_x.lora_down.weight": (4, 4)},
    "an embedding": {"emb_params": (4, 768)},
    "a FLUX model": {"double_blocks.0.img_attn.qkv.weight": (3, 3)},
    "without a VAE; give one with: --vae FILE": shapes.under("model.diffusion_model", shapes.unet()) | shapes.SD1_TEXT,
}


@pytest.mark.parametrize("says", BAD)
def test_what_does_not_run_is_one_line_and_code_2(capsys: Captured, tmp_path: Path, says: str) -> None:
    path = stored.sparse(tmp_path / "other.safetensors", BAD[says])
    code, out, err = run(capsys, "img2img", "room.png", "a room", "--model", path)
    assert (code, out) == (2, "")
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.ckpt", b"PK\x03\x04" + bytes(60), "runs whatever code"),
        ("m.safetensors", b"<!DOCTYPE html>", "web page"),
        ("m.safetensors", (10**8).to_bytes(8, "little") + b"{}", "cut short"),
        ("m.safetensors", None, "cannot be read"),
        ("m.gguf", b"GGUF" + bytes(60), "GGUF"),
    ],
)
def test_a_broken_file_is_one_line_and_code_2(
    capsys: Captured, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, _, err = run(capsys, "img2img", "room.png", "a room", "--model", tmp_path / name)
    assert code == 2
    assert says in err and err.count("\n") == 1


def test_a_replay_with_another_file_says_so(capsys: Captured, model: Path, tmp_path: Path) -> None:
    arguments = ("a cozy room", "--model", model, "--steps", 2, "--strength", 0.5, "-o", "out.png")
    assert run(capsys, "img2img", "room.png", *arguments)[0] == 0
    other = tmp_path / "dream.safetensors"
    content = bytearray(model.read_bytes())
    content[-2:] = b"\x00\x00"
    other.write_bytes(content)
    for file, warned in ((model, False), (other, True)):
        code, _, err = run(capsys, "img2img", "room.png", "--from-png", "out.png", "--model", file, "-o", "again.png")
        assert code == 0
        assert ("is not the one that this was made with" in err) is warned
