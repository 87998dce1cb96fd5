"""What lies in the folder: layout, manifest, checksums, goldens; and that optimum's own classes can read it."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from export_graphs import FILES, RUN, decibels
from partway.model.package import open_package
from partway_export.package import write_settings

NETWORKS = ["text_encoder", "vae_encoder", "unet", "vae_decoder"]


@pytest.mark.parametrize("name", ["onnx-fp32", "openvino-int8"])
def test_manifest_describes_every_file(package, name):
    made = package(name)
    manifest = json.loads((made.folder / "partway.json").read_text())
    there = {path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == there - {"partway.json"}
    for path, entry in manifest["files"].items():
        contents = (made.folder / path).read_bytes()
        assert entry == {"sha256": hashlib.sha256(contents).hexdigest(), "bytes": len(contents)}
    assert manifest["partway"] == 1
    assert (manifest["format"], manifest["weights"]) == (made.to, made.weights)
    assert (manifest["source"], manifest["revision"], manifest["licence"]) == (made.source.name, None, None)
    assert manifest["versions"]["torch"] == torch.__version__
    assert list(manifest["verification"]) == NETWORKS
    for figures in manifest["verification"].values():
        assert figures["psnr"] >= figures["gate"]


@pytest.mark.parametrize("name", ["onnx-fp32", "openvino-int8"])
def test_layout_is_the_one_that_optimum_writes(package, name):
    made = package(name)
    for network in NETWORKS:
        assert (made.folder / network / FILES[made.to]).is_file()
        assert "_class_name" in (made.folder / network / "config.json").read_text() or network == "text_encoder"
    assert not list(made.folder.parent.glob(".*partial*"))
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        path = f"tokenizer/{file}"
        assert (made.folder / path).read_bytes() == (made.source / path).read_bytes()
    path = "scheduler/scheduler_config.json"
    assert (made.folder / path).read_bytes() == (made.source / path).read_bytes()


def test_no_path_of_this_machine_goes_along(package, tmp_path):
    made = package("onnx-fp32")
    config = tmp_path / "source/unet/config.json"
    shutil.copytree(made.source, tmp_path / "source")
    noted = json.loads(config.read_text()) | {"_name_or_path": str(tmp_path)}
    config.write_text(json.dumps(noted))
    write_settings(open_package(tmp_path / "source"), tmp_path / "package")
    kept = json.loads((tmp_path / "package/unet/config.json").read_text())
    assert kept == {key: value for key, value in noted.items() if key != "_name_or_path"}
    assert not any(str(tmp_path) in path.read_text() for path in (tmp_path / "package").rglob("*.json"))


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8", "openvino-fp32"])
def test_goldens_hold_torchs_outputs(package, name):
    made = package(name)
    manifest = json.loads((made.folder / "partway.json").read_text())
    unet = StableDiffusionPipeline.from_pretrained(made.source).unet
    for network in NETWORKS:
        golden = np.load(made.folder / manifest["goldens"][network])
        assert sum(value.nbytes for value in golden.values()) < 1e6
        parts = {"inputs": {}, "outputs": {}}
        for key, value in golden.items():
            part, _, label = key.partition("/")
            parts[part][label] = value
        outputs = RUN[made.to](made.folder / network / FILES[made.to], parts["inputs"])
        worst = min(decibels(value, outputs[label]) for label, value in parts["outputs"].items())
        # Above 130 dB it is the last digit of float32, which depends on how many threads add up.
        assert min(worst, 130) == pytest.approx(min(manifest["verification"][network]["psnr"], 130), abs=1)
        if network == "unet":
            assert float(parts["inputs"]["timestep"].reshape(-1)[0]) % 1 != 0
            with torch.no_grad():
                expected = unet(**{key: torch.tensor(value) for key, value in parts["inputs"].items()}).sample
            assert decibels(expected.numpy(), parts["outputs"]["out_sample"]) > 110


@pytest.mark.parametrize("name", ["onnx-fp32", "openvino-fp32"])
def test_optimum_draws_the_same_picture_from_it_as_diffusers(package, name):
    made = package(name)
    if made.to == "onnx":
        from optimum.onnxruntime import ORTStableDiffusionPipeline

        exported = ORTStableDiffusionPipeline.from_pretrained(made.folder)
    else:
        from optimum.intel import OVStableDiffusionPipeline

        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        exported = OVStableDiffusionPipeline.from_pretrained(made.folder, ov_config=exact)
    pictures = []
    for pipe in (StableDiffusionPipeline.from_pretrained(made.source), exported):
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)
        pictures.append(
            pipe(
                "a cat on the sand",
                num_inference_steps=4,
                height=128,
                width=192,
                generator=torch.Generator().manual_seed(0),
                output_type="np",
            ).images
        )
    assert pictures[0].shape == (1, 128, 192, 3)
    assert decibels(*pictures) > 80
