"""Adapters that do not go with a model: one line with both numbers, exit code 2, nothing written, nothing changed."""

import numpy as np
import pytest
from PIL import Image

import adapter_files
import checkpoint_shapes as small
import partway
import stored
from likeness import source
from partway import cli

SETTINGS = {"steps": 4, "strength": 0.5, "seed": 3}
ATTENTION = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    rng = np.random.default_rng(0)
    arrays = {
        name: (rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(np.float32)
        for name, shape in small.sd1().items()
    }
    return stored.write(tmp_path_factory.mktemp("model") / "model.safetensors", arrays)


def lora(path, layers):
    tensors = {}
    for name, shape in layers.items():
        own, _ = adapter_files.lora(np.random.default_rng(0), shape, size=0.01)
        tensors |= {f"{name}.{end}": one for end, one in own.items()}
    return stored.write(path, tensors)


def cut_short(path):
    whole = lora(path, {ATTENTION: (128, 64)})
    whole.write_bytes(whole.read_bytes()[:-100])


BAD = {
    "another family": (
        lambda path: lora(path, {ATTENTION: (128, 2048)}),
        "bad.safetensors is for SDXL (text of width 2048), and this model is another kind of model (text of width 64)",
    ),
    "another shape": (
        lambda path: lora(path, {"lora_unet_conv_in": (999, 4, 3, 3)}),
        "bad.safetensors changes 999x36 numbers of conv_in.weight, which this model has",
    ),
    "another depth": (
        lambda path: lora(
            path, {ATTENTION: (128, 64), ATTENTION.replace("blocks_0_attn2", "blocks_7_attn2"): (128, 64)}
        ),
        "bad.safetensors changes 2 layers, of which this model has 1; it lacks lora_unet_mid_block",
    ),
    "a model": (
        lambda path: stored.sparse(path, small.sd1()),
        "bad.safetensors is a whole model, and no LoRA; give it as the model",
    ),
    "an embedding": (lambda path: stored.sparse(path, {"emb_params": (1, 768)}), "is an embedding"),
    "a file cut short": (cut_short, "ends 100 bytes too early"),
    "no file": (lambda path: None, "cannot be read: No such file"),
}


@pytest.mark.parametrize("kind", BAD)
def test_it_is_one_line_and_nothing_is_written(tmp_path, model, capsys, kind):
    make, said = BAD[kind]
    make(tmp_path / "bad.safetensors")
    good = lora(tmp_path / "good.safetensors", {ATTENTION: (128, 64)})
    source().save(tmp_path / "room.png")
    flags = ["--model", str(model), "--lora", f"{good}:0.5", "--lora", str(tmp_path / "bad.safetensors")]
    code = cli.main(["img2img", str(tmp_path / "room.png"), "a room", *flags, "-o", str(tmp_path / "out.png")])
    printed = capsys.readouterr().err
    assert code == 2
    assert printed.count("\n") == 1 and said in printed
    assert not (tmp_path / "out.png").exists()


def test_a_pipeline_is_what_it_was_after_a_refusal(tmp_path, model):
    good = lora(tmp_path / "good.safetensors", {ATTENTION: (128, 64)})
    bad = lora(tmp_path / "bad.safetensors", {"lora_unet_conv_in": (999, 4, 3, 3)})
    pipe = partway.load(model)

    def picture(loras):
        return np.asarray(pipe.img2img(source(), "a room", loras=loras, **SETTINGS).image)

    plain, with_it = picture({}), picture({good: 20.0})
    for loras in ({bad: 1.0}, {good: 20.0, bad: 1.0}, {bad: 0.0}):
        with pytest.raises(partway.PackageError, match="999x36"):
            picture(loras)
        with pytest.raises(partway.PackageError, match="999x36"):
            pipe.plan(loras=loras)
    assert (picture({good: 20.0}) == with_it).all() and (with_it != plain).any()
    assert (picture({}) == plain).all()


def test_a_prompt_names_them_in_a_folder(tmp_path, model, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loras").mkdir()
    lora(tmp_path / "loras/good.safetensors", {ATTENTION: (128, 64)})
    source().save(tmp_path / "room.png")
    flags = ["--model", str(model), "--steps", "4", "--seed", "3", "-q", "--lora-dir", "loras"]
    assert cli.main(["img2img", "room.png", "a room <lora:good:20>", *flags, "-o", "tag.png"]) == 0
    assert cli.main(["img2img", "room.png", "--from-png", "tag.png", *flags[6:], *flags[:2], "-o", "again.png"]) == 0
    flags[-2:] = ["--lora", "loras/good.safetensors:20"]
    assert cli.main(["img2img", "room.png", "a room", *flags, "-o", "flag.png"]) == 0
    read = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("tag", "again", "flag")]
    assert (read[0] == read[1]).all() and (read[0] == read[2]).all()
    capsys.readouterr()
    assert cli.main(["img2img", "room.png", "a room <lora:gone:1>", *flags[:-2], "--lora-dir", "loras"]) == 2
    assert "<lora:gone> is not in loras, which has good" in capsys.readouterr().err
