"""ControlNets, T2I-Adapters and the UNet that takes what they give, against torch's, at a size of no power of two."""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tiny
from partway.building.control import controlnet
from partway.building.parts import segments, shallow
from partway.building.t2i_adapter import t2i_adapter
from partway.building.unet import Extras, unet
from partway.checkpoints.control import fitting, open_control
from partway.checkpoints.safetensors import read_header
from partway.engines import EngineOptions, open_engine
from partway.engines.streamed import Streamed
from partway.graphs import DEEP, FEATURE, MIDDLE, RESIDUAL, SHALLOW, is_guide

ENGINES = ["onnxruntime", "openvino"]
WITHIN = 5e-6  # of the largest number


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def loud(module):
    """Layers that begin as zeros, norms of 1 and biases of 0 would hide mistakes."""
    for name, parameter in module.named_parameters():
        if parameter.ndim == 1 or "controlnet_" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return module.eval()


def saved(module, path):
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
    return path


def assert_equal(found, wanted):
    wanted = wanted.detach().numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= WITHIN * max(1, np.abs(wanted).max())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(kind)``: torch's UNet and ControlNet, files of both, their inputs, and a hint."""
    root = tmp_path_factory.mktemp("controls")

    @cache
    def get(kind):
        torch.manual_seed(0)
        config = {"sample_size": 32, "norm_num_groups": 8, **tiny._UNETS[kind]}
        base = loud(diffusers.UNet2DConditionModel(**config))
        net = loud(diffusers.ControlNetModel.from_unet(base))
        inputs = {
            "sample": normal(2, 4, 20, 31),
            "timestep": np.float32([621.3]),
            "encoder_hidden_states": normal(2, 7, config["cross_attention_dim"]),
        }
        if "addition_embed_type" in config:
            inputs |= {"text_embeds": normal(2, tiny.DIM_2), "time_ids": np.float32([[512, 640, 0, 8, 512, 640]] * 2)}
        files = saved(base, root / f"{kind}.safetensors"), saved(net, root / f"{kind}-control.safetensors")
        return base, net, files, inputs, normal(2, 3, 160, 248, seed=1)

    return get


def torched(inputs):
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    added = {name: tensors.pop(name) for name in ("text_embeds", "time_ids") if name in tensors}
    return tensors, {"added_cond_kwargs": added or None}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_controlnet_and_the_unet_that_it_guides(made, kind, engine):
    base, net, (base_file, net_file), inputs, hint = made(kind)
    part = open_control(net_file)
    network = controlnet(part.weights, fitting(part, base.config))
    assert network.weights.keys() == part.weights.keys()
    guided = unet(read_header(base_file).weights, base.config, Extras(residuals=True))
    parts = {f"unet_segment_{index}": one for index, one in enumerate(segments(guided, 3))}
    above = shallow(guided)
    assert [name for name in above.inputs if is_guide(name)] == [RESIDUAL.format(0)]
    opened = open_engine(engine, {"control_0": network, "unet": guided, SHALLOW: above, **parts}, EngineOptions())
    tensors, added = torched(inputs)
    with torch.no_grad():
        down, middle = net(**tensors, **added, controlnet_cond=torch.from_numpy(hint), return_dict=False)
        wanted = base(
            **tensors, **added, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
    found = opened.run("control_0", inputs | {"controlnet_cond": hint})
    assert list(found) == [*(RESIDUAL.format(index) for index in range(len(down))), MIDDLE]
    for one, other in zip(found.values(), (*down, middle), strict=True):
        assert_equal(one, other)
    whole = opened.run("unet", inputs | found)
    assert_equal(whole["out_sample"], wanted)
    near = opened.run(SHALLOW, inputs | {DEEP: whole[DEEP], RESIDUAL.format(0): found[RESIDUAL.format(0)]})
    assert np.abs(near["out_sample"] - whole["out_sample"]).max() <= 1e-6
    streamed = Streamed(opened, list(parts)).run("unet", inputs | found)
    assert np.abs(streamed["out_sample"] - whole["out_sample"]).max() <= 1e-6


ADAPTERS = {
    "full": ("sd1", {"adapter_type": "full_adapter", "channels": [32, 64]}),
    "grey": ("sd1", {"adapter_type": "full_adapter", "channels": [32, 64], "in_channels": 1}),
    "light": ("sd1", {"adapter_type": "light_adapter", "channels": [32], "num_res_blocks": 4}),
    "xl": ("sdxl", {"adapter_type": "full_adapter_xl", "channels": [16, 32, 32, 32], "downscale_factor": 16}),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("which", ADAPTERS)
def test_a_t2i_adapter_and_the_unet_that_it_guides(made, tmp_path, which, engine):
    kind, config = ADAPTERS[which]
    base, _, (base_file, _), inputs, hint = made(kind)
    torch.manual_seed(1)
    adapter = loud(diffusers.T2IAdapter(**config))
    part = open_control(saved(adapter, tmp_path / "adapter.safetensors"))
    assert part.once and part.channels == config.get("in_channels", 3)
    assert part.factor == config.get("downscale_factor", 8)
    network = t2i_adapter(part.weights, part.halved, channels=part.channels)
    assert network.weights.keys() == part.weights.keys()
    picture = np.pad(hint[:, : part.channels], [(0, 0), (0, 0), (0, 0), (0, 248 % part.factor)], mode="edge")
    with torch.no_grad():
        wanted = adapter(torch.from_numpy(picture))
    if which == "light":  # its first level alone fits this UNet
        wanted = [*wanted]
    guided = unet(read_header(base_file).weights, base.config, Extras(features=len(wanted)))
    opened = open_engine(engine, {"control_0": network, "unet": guided}, EngineOptions())
    found = opened.run("control_0", {"picture": picture})
    assert list(found) == [FEATURE.format(index) for index in range(len(wanted))]
    for one, other in zip(found.values(), wanted, strict=True):
        assert_equal(one, other)
    if which == "light":
        return
    tensors, added = torched(inputs)
    with torch.no_grad():
        features = [one.clone() for one in wanted]
        told = base(**tensors, **added, down_intrablock_additional_residuals=features).sample
    assert_equal(opened.run("unet", inputs | found)["out_sample"], told)
