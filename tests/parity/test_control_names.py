"""Every tensor of published ControlNets has a place, by either set of names, and so has every one of T2I-Adapters."""

import diffusers
import pytest
import torch

import checkpoint_models
import stored
from partway.building.control_networks import control_network
from partway.checkpoints.control import fitting, open_control

SD1 = {"cross_attention_dim": 768, "attention_head_dim": 8}
SD2 = {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SMALL = {**SDXL, "down_block_types": ("DownBlock2D",) * 3, "mid_block_type": "UNetMidBlock2D"}
COUNTS = {"sd1": 340, "sd2": 340, "sdxl": 844, "small": None}


def original(name, config):
    """The name that ControlNet's authors have, written from diffusers'."""
    layer, _, kind = name.rpartition(".")
    hint = layer.removeprefix("controlnet_cond_embedding.")
    if hint != layer:
        place = {"conv_in": 0, "conv_out": 14}.get(hint)
        return f"input_hint_block.{2 * int(hint[-1]) + 2 if place is None else place}.{kind}"
    if layer.startswith("controlnet_down_blocks."):
        return f"zero_convs.{layer.rpartition('.')[2]}.0.{kind}"
    if layer == "controlnet_mid_block":
        return f"middle_block_out.0.{kind}"
    return checkpoint_models.unet_name(name, config)


@pytest.mark.parametrize("form", ["diffusers", "original", "whole"])
@pytest.mark.parametrize(("which", "config"), [("sd1", SD1), ("sd2", SD2), ("sdxl", SDXL), ("small", SMALL)])
def test_published_controlnets(tmp_path, which, config, form):
    with torch.device("meta"):
        net = diffusers.ControlNetModel(**config)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert COUNTS[which] in (None, len(shapes))
    if form != "diffusers":
        prefix = "control_model." if form == "whole" else ""
        shapes = {prefix + original(name, net.config): shape for name, shape in shapes.items()}
        shapes |= {"model.diffusion_model.out.0.weight": (320,)} if form == "whole" else {}
    part = open_control(stored.sparse(tmp_path / "control.safetensors", shapes))
    assert not part.once and part.channels == 3
    unet = {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "attention_head_dim": 8, **config}
    network = control_network(part, fitting(part, unet))
    assert len(network.outputs) == (13 if which.startswith("sd1") or which == "sd2" else 10)


@pytest.mark.parametrize("form", ["diffusers", "original"])
@pytest.mark.parametrize("kind", ["full_adapter", "full_adapter_xl", "light_adapter"])
def test_published_t2i_adapters(tmp_path, kind, form):
    light, xl = kind == "light_adapter", kind == "full_adapter_xl"
    config = {"channels": [320, 640, 1280]} if light else {}
    config |= {"num_res_blocks": 4} if light else {"downscale_factor": 16} if xl else {}
    with torch.device("meta"):
        adapter = diffusers.T2IAdapter(adapter_type=kind, **config)
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
    if form == "original":
        shapes = {named(name.removeprefix("adapter."), light=light): shape for name, shape in shapes.items()}
    part = open_control(stored.sparse(tmp_path / "adapter.safetensors", shapes))
    assert part.once and part.halved == frozenset({2} if xl else {1, 2, 3})
    unet = {"block_out_channels": [320, 640, 1280, 1280][: 3 if xl else 4]}
    assert len(control_network(part, fitting(part, unet)).outputs) == 4


def named(name, *, light):
    """The name that T2I-Adapter's authors have."""
    parts = name.split(".")
    if parts[0] != "body" or "resnets" not in parts:
        return f"body.{2 * int(parts[1])}.{'.'.join(parts[2:])}" if parts[0] == "body" and not light else name
    level, index, rest = int(parts[1]), int(parts[3]), ".".join(parts[4:])
    return f"body.{level}.body.{index}.{rest}" if light else f"body.{2 * level + index}.{rest}"
