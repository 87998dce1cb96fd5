"""Pictures that guide a run, at the command line: on the built-in model, in plans and records, refused in a line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stored
from partway.cli import main
from partway.pictures import metadata

LINES = Path(__file__).parents[2] / "models/rooms/adapters/trained/rooms_lines.safetensors"
FEW = ["--strength", "0.8", "--steps", "3", "--seed", "3", "-q"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a room of the size of half the built-in model's."""
    room = Image.open(Path(__file__).parents[1] / "data/room.jpg").convert("RGB").resize((128, 96))
    room.save(tmp_path / "room.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(capsys, *arguments):
    code = main([*map(str, arguments)])
    return code, capsys.readouterr()


def control(kind="canny:room.png"):
    return ["--control", kind, "--control-model", LINES]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_built_in_models_lines(folder, capsys, engine):
    pytest.importorskip(engine)
    plain = made(capsys, "img2img", "room.png", "a living room", "-o", "plain.png", *FEW, "--engine", engine)
    guided = made(
        capsys, "img2img", "room.png", "a living room", "-o", "guided.png", *FEW, *control(), "--engine", engine
    )
    assert plain[0] == guided[0] == 0, guided[1].err
    before, after = (np.asarray(Image.open(name), float) for name in ("plain.png", "guided.png"))
    assert np.abs(before - after).mean() > 2


def test_the_record_has_names_and_hashes_and_repeats_the_picture(folder, capsys):
    (folder / "nets").mkdir()
    (folder / "nets/lines.safetensors").write_bytes(LINES.read_bytes())
    flags = ["--control", "canny:room.png:0.7", "--control-model", folder / "nets/lines.safetensors"]
    flags += ["--control-end", "0.8", "--guess-mode"]
    assert made(capsys, "img2img", "room.png", "a room", "-o", "out.png", *FEW, *flags)[0] == 0
    record = metadata.read_parameters("out.png")
    told = {"network": "lines.safetensors", "picture": None, "kind": "canny", "scale": 0.7, "start": 0.0, "end": 0.8}
    assert record["settings"]["control"] == [told | {"guess_mode": True}]
    assert record["controls"][0]["name"] == "lines.safetensors" and len(record["controls"][0]["sha256"]) == 64
    assert "nets" not in json.dumps(record)
    code, said = made(capsys, "img2img", "room.png", "--from-png", "out.png", "-o", "again.png", "-q")
    assert code == 2 and "lines.safetensors" in said.err
    (folder / "lines.safetensors").write_bytes(LINES.read_bytes())
    assert made(capsys, "img2img", "room.png", "--from-png", "out.png", "-o", "again.png", "-q")[0] == 0
    assert np.array_equal(Image.open("out.png"), Image.open("again.png"))


def test_a_plan_counts_the_calls(folder, capsys):
    code, said = made(capsys, "plan", "-m", "rooms", "--steps", "10", "--strength", "1", *control("canny"))
    assert code == 0 and "10 x control_0" in said.out
    code, said = made(
        capsys, "plan", "-m", "rooms", "--json", "--steps", "10", "--strength", "1", *control("canny"),
        "--control-start", "0.5",
    )  # fmt: skip
    guided = json.loads(said.out)
    assert guided["calls"]["control_0"] == 5
    plain = json.loads(made(capsys, "plan", "-m", "rooms", "--json")[1].out)
    assert guided["peak_bytes"] > plain["peak_bytes"] + 10e6


SD15 = {
    "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
    "down_blocks.0.resnets.0.conv1.weight": (320, 320, 3, 3),
    "down_blocks.1.resnets.0.conv1.weight": (640, 320, 3, 3),
}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--control", "canny"], "each --control needs a --control-model, and there are 1 and 0 of them"),
        (["--control-model", "x.safetensors"], "each --control needs a --control-model, and there are 0 and 1"),
        (["--control", "cany:room.png", "--control-model", LINES], "unknown control kind 'cany'; did you mean canny?"),
        (["--control", "canny:room.png:11", "--control-model", LINES], "must be between 0 and 10, not 11"),
        (["--control", "canny:gone.png", "--control-model", LINES], "no such picture: gone.png"),
        (["--control", "canny:square.png", "--control-model", LINES], "64x64 and the run's 128x96, of other proport"),
        (["--control", "canny", "--control-model", "gone.safetensors"], "gone.safetensors cannot be read: No such"),
        (["--control", "canny", "--control-model", "short.safetensors"], "bytes too early; download it again"),
        (["--control", "canny", "--control-model", "lora.safetensors"], "is a LoRA, and neither a ControlNet nor"),
        (["--control", "canny", "--control-model", "union.safetensors"], "for several kinds of picture (Union)"),
        (["--control", "canny", "--control-model", "sd15.safetensors"], "channels [320, 640], and this one has [64"),
        (["--control", "mask", "--control-model", LINES], "shows what a mask covers; use inpaint or outpaint"),
        (["--control-start", "0.5"], "go with --control, and there is none"),
        ([*control(), "--control-start", "0.9", "--control-end", "0.2"], "start must be below its end, not 0.9 and"),
        (["--ip-scale", "0.5"], "go with --ip-adapter, and there is none"),
        (["--ip-adapter", "sd15.safetensors"], "is a ControlNet, and no IP-Adapter"),
        (["--ip-adapter", "ip.safetensors"], "needs its encoder of pictures, and there is no folder image_encoder"),
        (["--ip-adapter", "face.safetensors"], "for faces (FaceID), which partway does not run"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(folder, capsys, flags, said):
    Image.new("RGB", (64, 64)).save("square.png")
    whole = LINES.read_bytes()
    (folder / "short.safetensors").write_bytes(whole[:-1000])
    stored.sparse(folder / "lora.safetensors", {"lora_unet_x.lora_down.weight": (4, 8)})
    stored.sparse(folder / "union.safetensors", {"control_add_embedding.linear_1.weight": (4, 8)})
    stored.sparse(folder / "sd15.safetensors", SD15)
    stored.sparse(folder / "ip.safetensors", {"image_proj.proj.weight": (768, 64), "image_proj.norm.weight": (192,)})
    stored.sparse(folder / "face.safetensors", {"image_proj.proj.0.weight": (8, 8), "image_proj.norm.weight": (8,)})
    code, heard = made(capsys, "img2img", "room.png", "a room", "-o", "out.png", *FEW, *flags)
    assert code == 2
    assert said in heard.err and heard.err.count("\n") == 1 and heard.err.startswith("partway: error: ")
    assert not Path("out.png").exists()
