"""Every tensor of the published families, at full size: named, placed, and taken by a layer, in every naming."""

import diffusers
import pytest
import torch
import transformers
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

import checkpoint_models as models
import stored
from partway.building.networks import networks
from partway.checkpoints.single_file import open_file

CROSS, PLAIN = "CrossAttn{}Block2D", "{}Block2D"
SD1 = {"cross_attention_dim": 768, "attention_head_dim": 8}
SD2 = {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}
XL = {
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
REFINER = {
    **XL,
    "block_out_channels": [384, 768, 1536, 1536],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 1280,
    "attention_head_dim": [6, 12, 24, 24],
    "transformer_layers_per_block": 4,
    "projection_class_embeddings_input_dim": 2560,
}
SSD = {
    **XL,
    "transformer_layers_per_block": [0, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    "mid_block_type": "UNetMidBlock2D",
}
VEGA = {
    **SSD,
    "transformer_layers_per_block": [0, [1, 1], [2, 2]],
    "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
}
INPAINT, INSTRUCT = {"in_channels": 9}, {"in_channels": 8}
TEXT_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
TEXT_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
TEXT_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
L, H, G = "cond_stage_model.transformer", "cond_stage_model.model", "conditioner.embedders.1.model"
XL_L, REFINER_G = "conditioner.embedders.0.transformer", "conditioner.embedders.0.model"

# title, UNet, its tensors, text encoders by the beginning of their names
FAMILIES = {
    "SD 1.5": ("Stable Diffusion 1.x", SD1, 686, {L: TEXT_L}),
    "SD 1.5 inpainting": ("Stable Diffusion 1.x inpainting", SD1 | INPAINT, 686, {L: TEXT_L}),
    "InstructPix2Pix": ("Stable Diffusion 1.x InstructPix2Pix", SD1 | INSTRUCT, 686, {L: TEXT_L}),
    "LCM": ("Stable Diffusion 1.x, LCM", SD1 | {"time_cond_proj_dim": 256}, 687, {L: TEXT_L}),
    "SD 2.1": ("Stable Diffusion 2.x", SD2, 686, {H: TEXT_H}),
    "SD 2 inpainting": ("Stable Diffusion 2.x inpainting", SD2 | INPAINT, 686, {H: TEXT_H}),
    "SDXL": ("SDXL", XL, 1680, {XL_L: TEXT_L, G: TEXT_G}),
    "SDXL inpainting": ("SDXL inpainting", XL | INPAINT, 1680, {XL_L: TEXT_L, G: TEXT_G}),
    "SDXL refiner": ("SDXL refiner", REFINER, 1220, {REFINER_G: TEXT_G}),
    "SSD-1B": ("SSD-1B (SDXL, distilled)", SSD, None, {XL_L: TEXT_L, G: TEXT_G}),
    "Vega": ("Segmind Vega (SDXL, distilled)", VEGA, None, {XL_L: TEXT_L, G: TEXT_G}),
}
TOLD = (
    "in_channels", "out_channels", "block_out_channels", "layers_per_block", "down_block_types", "up_block_types",
    "mid_block_type", "cross_attention_dim", "attention_head_dim", "use_linear_projection", "addition_embed_type",
    "addition_time_embed_dim", "projection_class_embeddings_input_dim", "time_cond_proj_dim",
)  # fmt: skip


def empty(make, *args, **settings):
    with init_empty_weights():
        return make(*args, **settings)


def vae():
    return empty(
        diffusers.AutoencoderKL,
        block_out_channels=[128, 256, 512, 512],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
    )


def text_names(root, settings):
    """The tensors of one text encoder in a file of the original code."""
    bare = root.endswith("transformer")
    cls = transformers.CLIPTextModel if bare else transformers.CLIPTextModelWithProjection
    config = transformers.CLIPTextConfig(vocab_size=49408, projection_dim=settings["hidden_size"], **settings)
    state = empty(cls, config).state_dict()
    return {f"{root}.{name}": tensor for name, tensor in (state if bare else models.openclip(state, torch)).items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_family_is_mapped_without_a_name_left_over(tmp_path, family):
    title, settings, count, texts = FAMILIES[family]
    unet = empty(diffusers.UNet2DConditionModel, **settings)
    state = unet.state_dict()
    assert count in (None, len(state))
    tensors = {f"model.diffusion_model.{models.unet_name(name, unet.config)}": one for name, one in state.items()}
    assert len(tensors) == len(state)
    tensors |= {f"first_stage_model.{models.vae_name(name, 4)}": one for name, one in vae().state_dict().items()}
    for root, text in texts.items():
        tensors |= text_names(root, text)
    tensors["model_ema.decay"] = torch.zeros(())
    checkpoint = open_file(stored.sparse(tmp_path / "m.safetensors", {n: t.shape for n, t in tensors.items()}))
    assert checkpoint.title == title
    parts = checkpoint.parts
    assert {name: one.shape for name, one in parts["unet"].weights.items()} == {
        n: tuple(t.shape) for n, t in state.items()
    }
    for name in TOLD:
        found, wanted = (config.get(name) for config in (parts["unet"].config, unet.config))
        assert found == (list(wanted) if isinstance(wanted, tuple) else wanted), name
    assert set(parts["vae"].weights) == set(vae().state_dict()) and len(parts["vae"].weights) == 248
    assert sorted(
        part.config["num_hidden_layers"] for name, part in parts.items() if name.startswith("text")
    ) == sorted(23 if root == H else text["num_hidden_layers"] for root, text in texts.items())
    networks(checkpoint)  # raises where a weight is missing or left over


@pytest.mark.parametrize("family", ["SD 1.5", "SD 2.1", "SDXL", "SDXL refiner"])
def test_the_names_are_those_that_diffusers_knows(family):
    unet = empty(diffusers.UNet2DConditionModel, **FAMILIES[family][1])
    names = list(unet.state_dict())
    theirs = [f"model.diffusion_model.{models.unet_name(name, unet.config)}" for name in names]
    back = convert_ldm_unet_checkpoint({n: torch.tensor(i) for i, n in enumerate(theirs)}, {**unet.config})
    assert [int(back[name]) for name in names] == list(range(len(names)))


def test_the_names_of_the_vae_are_those_that_diffusers_knows():
    module = vae()
    marks = {
        f"first_stage_model.{models.vae_name(name, 4)}": torch.full((1,) * 4, float(index))
        for index, name in enumerate(module.state_dict())
    }
    back = convert_ldm_vae_checkpoint(marks, dict(module.config))
    assert [int(back[name].flatten()) for name in module.state_dict()] == list(range(248))
