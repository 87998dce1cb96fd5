"""Prompts at the command line: syntaxes, embeddings, and the record that has them."""

from pathlib import Path

import numpy as np
from PIL import Image

import stored
import toy
from command import Captured, refused, run
from partway.pictures import metadata

FLAGS = ("--steps", 2, "--width", 16, "--height", 16)


def embedding(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    stored.write(path, {"emb_params": np.random.default_rng(3).normal(size=(2, toy.WIDTH)).astype(np.float32)})
    return path


def test_the_syntax_is_said_where_it_matters(capsys: Captured, model: Path) -> None:
    code, _, err = run(capsys, "txt2img", "a (cat:1.3)", "-m", model, *FLAGS, "-o", "a.png")
    assert code == 0
    assert err == (
        "partway: note: brackets and BREAK are read as plain text; --prompt-syntax has others: a1111, comfyui, compel\n"
    )
    assert run(capsys, "txt2img", "--from-png", "a.png", "-o", "again.png", "-q")[2] == ""
    assert "as plain text" in run(capsys, "txt2img", "a [cat]", "--from-png", "a.png", "-o", "other.png")[2]
    flags = ("--prompt-syntax", "a1111", "--negative-prompt", "a BREAK b")
    _, _, err = run(capsys, "txt2img", "a cat", "-m", model, *FLAGS, "-o", "b.png", *flags)
    assert "read in a1111's syntax" in err and err.count("\n") == 1
    assert run(capsys, "txt2img", "a cat", "-m", model, *FLAGS, "-o", "c.png")[2] == ""


def test_a_replay_has_syntax_and_embeddings(capsys: Captured, model: Path) -> None:
    file = embedding(Path("film.safetensors"))
    flags = ("--prompt-syntax", "a1111", "--embedding", f"{file}:old film")
    run(capsys, "txt2img", "a [old film:b:1]", "-m", model, *FLAGS, "-o", "first.png", *flags)
    code, _, _ = run(capsys, "txt2img", "--from-png", "first.png", "-o", "again.png")
    assert code == 0
    assert Path("again.png").read_bytes() == Path("first.png").read_bytes()
    record = metadata.read_parameters("first.png")
    assert record["settings"]["embeddings"] == [["old film", "film.safetensors"]]
    with Image.open("first.png") as image:
        assert f'TI hashes: "old film: {record["embeddings"][0]["sha256"][:12]}' in image.info["parameters"].replace(
            "TI hashes: old", 'TI hashes: "old'
        )
    stored.write(file, {"emb_params": np.ones((1, toy.WIDTH), np.float32)})
    _, _, err = run(capsys, "txt2img", "--from-png", "first.png", "-o", "third.png")
    assert "film.safetensors is not the embedding that this was made with" in err


def test_a_folder_of_embeddings(capsys: Captured, model: Path) -> None:
    embedding(Path("all/styles/film.safetensors"))
    Path("all/unused.pt").write_bytes(b"PK\x03\x04")
    Path("all/bad.pt").write_bytes(b"PK\x03\x04")
    flags = ("-m", model, *FLAGS, "--embedding-dir", "all")
    assert run(capsys, "txt2img", "a film", *flags, "-o", "a.png")[0] == 0
    assert metadata.read_parameters("a.png")["settings"]["embeddings"] == [["film", "film.safetensors"]]
    assert run(capsys, "txt2img", "--from-png", "a.png", "--embedding-dir", "all", "-o", "b.png")[0] == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert "runs whatever code is in it" in refused(capsys, "txt2img", "a bad film", *flags)
    assert "there is no folder none" in refused(capsys, "txt2img", "a", "-m", model, "--embedding-dir", "none")
    assert "cannot be read" in refused(capsys, "txt2img", "a", "-m", model, "--embedding", "none.safetensors")


def test_clip_skip_is_in_a1111s_text(capsys: Captured, model: Path) -> None:
    err = refused(capsys, "txt2img", "a", "-m", model, "--clip-skip", "2:a1111")
    assert "clip_skip must be" in err
    record = {
        "settings": {
            "steps": 2, "sampler": "euler", "schedule": "karras", "guidance_scale": 7.5, "seed": 1, "rng": "torch-cpu",
            "negative_prompt": "", "strength": 0.5, "clip_skip": 1,
        },
        "task": "txt2img", "width": 8, "height": 8, "model": {"name": "m"}, "partway": "0", "prompt": "a",
    }  # fmt: skip
    assert "Clip skip: 2" in metadata.parameters_text(record)
