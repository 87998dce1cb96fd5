"""Exports where nothing but partway, NumPy and an engine can be imported: each kind, format and precision."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import checkpoint_models
import partway
from export_graphs import FILES, decibels
from partway.cli import main
from partway_rooms import room

_ALONE = """
import sys
for name in ("torch", "transformers", "diffusers", "optimum", "accelerate", "safetensors", "onnx", "onnxslim", "nncf"):
    sys.modules[name] = None
if "--to" not in sys.argv:
    sys.modules["openvino"] = None
from partway.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """``file(kind)``: a model as one file, of the published structure."""
    root = tmp_path_factory.mktemp("files")

    def get(kind):
        if not (root / kind).exists():
            (root / kind).mkdir()
            checkpoint_models.build(root / kind, kind, "float16")
        return root / kind / "model.safetensors"

    return get


def alone(*arguments):
    command = [sys.executable, "-c", _ALONE, "export", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sd1", ["--split", "--segments", "4"]),
        pytest.param("sd2-v", ["--weights", "int8"], marks=pytest.mark.thorough),
        pytest.param("sdxl", ["--weights", "int4", "--split"], marks=pytest.mark.thorough),
        pytest.param("sdxl-refiner", ["--to", "openvino"], marks=pytest.mark.thorough),
        pytest.param("ssd-1b", ["--to", "openvino", "--weights", "int8", "--split"], marks=pytest.mark.thorough),
        pytest.param("vega", ["--to", "openvino", "--weights", "int4"], marks=pytest.mark.thorough),
        pytest.param("sd1-lcm", ["--to", "openvino", "--weights", "fp32"], marks=pytest.mark.thorough),
        pytest.param("sd1-inpaint", ["--weights", "fp32"], marks=pytest.mark.thorough),
    ],
)
def test_a_file_becomes_a_package_that_makes_its_picture(file, tmp_path, kind, options):
    source, out = file(kind), tmp_path / "out"
    alone(source, out, *options)
    assert main(["doctor", str(out), "--engine", "openvino"]) == 0
    picture, made = room(3, size=64).picture, []
    for model in (source, out):
        pipe = partway.load(model, engine="openvino")
        settings = {"strength": 0.6, "steps": 4, "seed": 1}
        if kind == "sd1-inpaint":
            mask = np.pad(np.full((32, 32), 255, np.uint8), 16)
            made.append(np.asarray(pipe.inpaint(picture, mask, "a room", **settings).image))
        else:
            made.append(np.asarray(pipe.img2img(picture, "a room", **settings).image))
    assert decibels(*made) > {"fp32": 60, "fp16": 45, "int8": 22, "int4": 15}[_weights(options)]


def _weights(options):
    return options[options.index("--weights") + 1] if "--weights" in options else "fp16"


@pytest.mark.parametrize("kind", ["sd1", pytest.param("sdxl", marks=pytest.mark.thorough)])
def test_it_is_what_diffusers_reads_too(file, tmp_path, kind):
    import diffusers
    from optimum import intel

    cls = f"StableDiffusion{'XL' if kind == 'sdxl' else ''}Pipeline"
    alone(file(kind), tmp_path / "out", "--to", "openvino", "--weights", "fp32")
    ours = getattr(intel, f"OV{cls}")
    pipe = ours.from_pretrained(tmp_path / "out", ov_config={"INFERENCE_PRECISION_HINT": "f32"})
    config = str(file(kind).parent / "folder")
    theirs = getattr(diffusers, cls).from_single_file(str(file(kind)), config=config, local_files_only=True)
    theirs.to(torch.float32)
    pictures = []
    for one in (theirs, pipe):
        given = dict(one.scheduler.config)
        assert given.get("skip_prk_steps", True)  # as published models say; diffusers' default makes more calls
        given.pop("_use_default_values", None)
        one.scheduler = diffusers.EulerDiscreteScheduler.from_config(given | {"timestep_spacing": "leading"})
        settings = {"num_inference_steps": 3, "height": 64, "width": 96, "output_type": "np"}
        pictures.append(one("a warm room", generator=torch.Generator().manual_seed(0), **settings).images)
    assert decibels(*pictures) > 50


_RARER = [
    pytest.param(kind, marks=pytest.mark.thorough) for kind in ("sd2-v", "sdxl-refiner", "ssd-1b", "vega", "sd1-lcm")
]


@pytest.mark.parametrize("kind", ["sd1", "sdxl", *_RARER])
def test_torch_agrees_where_it_is_asked(file, tmp_path, capsys, kind):
    assert main(["export", str(file(kind)), str(tmp_path / "out"), "--verify", "--weights", "fp32"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "from torch's" in line]
    assert len(said) == (5 if kind in ("sdxl", "ssd-1b", "vega") else 4)
    assert all(float(line.split("here ")[1].split()[0]) > 100 for line in said)
    manifest = json.loads((tmp_path / "out/partway.json").read_text())
    assert manifest["truth"] == "torch"
    assert (tmp_path / "out/unet" / FILES["onnx"]).is_file()


def test_weights_as_pickles_are_read_by_diffusers(tiny_model, tmp_path):
    from diffusers import StableDiffusionPipeline

    StableDiffusionPipeline.from_pretrained(tiny_model("sd1")).save_pretrained(
        tmp_path / "pickled", safe_serialization=False
    )
    assert not list((tmp_path / "pickled").rglob("*.safetensors"))
    assert main(["export", str(tmp_path / "pickled"), str(tmp_path / "out"), "--weights", "fp32"]) == 0
    made = [
        np.asarray(partway.load(model).txt2img("a room", width=64, height=64, steps=2).image)
        for model in (tiny_model("sd1"), tmp_path / "out")
    ]
    assert decibels(*made) > 60
