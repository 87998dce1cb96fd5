"""The shallow graph computes what torch's UNet computes when its deep features are held at an earlier call's."""

import json

import numpy as np
import onnx
import pytest
import torch
from diffusers import UNet2DConditionModel

from export_graphs import FILES, NEEDED, RUN, decibels, unet_inputs
from partway.graphs import DEEP, SHALLOW_FILES
from partway.model.package import open_package

LAYERS = 1  # of the last ones on the way up, that are shallow
ALL = ["onnx-fp32", "onnx-fp16", "onnx-int8", "openvino-fp32", "openvino-int8"]
ALL += [pytest.param("openvino-fp16", marks=pytest.mark.thorough)]


def run(made, files, inputs):
    path = made.folder / "unet" / files[made.to]
    return RUN[made.to](path, {name: np.asarray(value) for name, value in inputs.items()})


def holding(unet, features=None):
    """torch's UNet, watched where its last `LAYERS` on the way up begin: what is there is kept, or replaced."""
    resnets = [resnet for block in unet.up_blocks for resnet in block.resnets]
    seen = {}

    def hook(module, args):
        joined = args[0]
        width = joined.shape[1] - unet.config.block_out_channels[0]  # the skip connection's channels come last
        seen[DEEP] = joined[:, :width]
        if features is not None:
            return (torch.cat([features, joined[:, width:]], 1), *args[1:])
        return None

    return resnets[-LAYERS].register_forward_pre_hook(hook), seen


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("batch", "height", "width"), [(2, 8, 24), (1, 13, 10)])
def test_deep_features_and_what_is_made_of_them_are_torchs(divided, name, batch, height, width):
    made = divided(name)
    unet = UNet2DConditionModel.from_pretrained(made.source / "unet")
    earlier = unet_inputs(made, batch, height, width, 500.25)
    later = unet_inputs(made, batch, height, width, 400.5)
    later["sample"] = later["sample"] * np.float32(0.9)
    handle, seen = holding(unet)
    with torch.no_grad():
        unet(**{key: torch.tensor(value) for key, value in earlier.items()})
    handle.remove()
    found = run(made, FILES, earlier)
    assert next(iter(found)) == "out_sample"
    assert decibels(seen[DEEP].numpy(), found[DEEP]) > NEEDED[made.weights]
    handle, _ = holding(unet, seen[DEEP])
    with torch.no_grad():
        expected = unet(**{key: torch.tensor(value) for key, value in later.items()}).sample.numpy()
    handle.remove()
    output = run(made, SHALLOW_FILES, later | {DEEP: seen[DEEP].numpy()})["out_sample"]
    assert decibels(expected, output) > NEEDED[made.weights]


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-fp16", "onnx-int8"])
def test_both_onnx_graphs_read_the_same_weights(divided, name):
    folder = divided(name).folder / "unet"
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.onnx", "model.onnx_data", "shallow.onnx"}
    shallow, whole = (onnx.load(folder / file, load_external_data=False) for file in ("shallow.onnx", "model.onnx"))
    places = {tensor.name: str(tensor.external_data) for tensor in whole.graph.initializer if tensor.external_data}
    shared = [tensor for tensor in shallow.graph.initializer if tensor.external_data]
    assert len(shared) > 10
    assert all(places[tensor.name] == str(tensor.external_data) for tensor in shared)
    assert len(shallow.graph.node) < len(whole.graph.node) * 2 / 3
    onnx.checker.check_model(str(folder / "shallow.onnx"))


@pytest.mark.parametrize(
    ("kind", "to"),
    [("sdxl", "onnx"), pytest.param("sd1-instruct", "openvino", marks=pytest.mark.thorough), ("lcm", "onnx")],
)
def test_other_families_are_split_and_say_how_near_to_torch(exported, kind, to):
    folder = exported(kind, to, "fp32", split=True).folder
    manifest = json.loads((folder / "partway.json").read_text())
    assert manifest["verification"]["unet_shallow"]["psnr"] > 100
    assert manifest["goldens"]["unet_shallow"] == "goldens/unet_shallow.npz"
    assert "unet_shallow" in open_package(folder).networks
