"""Configurations of networks, as diffusers and transformers write them in ``config.json``, from names and shapes.

What neither tells is the same in all models of a kind: Stable Diffusion 1 has eight heads at every level, all others
heads of 64 channels; groups of normalisation are 32.
"""

from collections.abc import Mapping
from typing import Any

from partway.checkpoints.parts import Weights, levels
from partway.checkpoints.text_names import PROJECTION
from partway.errors import PackageError

Config = Mapping[str, Any]

HEAD = 64  # channels
SIZES = 256  # numbers that SDXL is told each size by


def unet(weights: Weights) -> dict[str, Any]:
    """The UNet's; raises `PackageError` naming a tensor that every UNet has and this one lacks."""
    count = levels(weights, "down_blocks")
    widths = [_shape(weights, f"down_blocks.{level}.resnets.0.conv1.weight")[0] for level in range(count)]
    attends = [f"down_blocks.{level}.attentions.0.norm.weight" in weights for level in range(count)]
    middle = "mid_block.attentions.0.norm.weight" in weights
    context = next((one.shape[1] for name, one in weights.items() if name.endswith("attn2.to_k.weight")), 0)
    linear = any(name.endswith("proj_in.weight") and len(one.shape) == 2 for name, one in weights.items())
    config: dict[str, Any] = {
        "_class_name": "UNet2DConditionModel",
        "in_channels": _shape(weights, "conv_in.weight")[1],
        "out_channels": _shape(weights, "conv_out.weight")[0],
        "block_out_channels": widths,
        "layers_per_block": levels(weights, "down_blocks.0.resnets"),
        "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "cross_attention_dim": context,
        "attention_head_dim": [width // HEAD for width in widths] if linear else 8,
        "use_linear_projection": linear,
    }
    config |= _depths(weights, count, config["layers_per_block"])
    if not any(name.startswith("mid_block.") for name in weights):
        config["mid_block_type"] = None
    if (scale_embedding := weights.get("time_embedding.cond_proj.weight")) is not None:
        config["time_cond_proj_dim"] = scale_embedding.shape[1]
    if (added := weights.get("add_embedding.linear_1.weight")) is not None:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = SIZES
        config["projection_class_embeddings_input_dim"] = added.shape[1]
    return config


def _depths(weights: Weights, count: int, layers: int) -> dict[str, Any]:
    """How many layers transformers have, at each level on the way down, and up where that is not the same."""
    middle = levels(weights, "mid_block.attentions.0.transformer_blocks") or 1

    def depth(block: str, layers: int) -> Any:
        found = [levels(weights, f"{block}.attentions.{index}.transformer_blocks") for index in range(layers)]
        return (found[0] or middle) if len(set(found)) == 1 else found

    down = [depth(f"down_blocks.{level}", layers) for level in range(count)]
    up = [depth(f"up_blocks.{level}", layers + 1) for level in range(count)]
    config = {"transformer_layers_per_block": down} if down != [1] * count else {}
    return config | ({"reverse_transformer_layers_per_block": up} if up != down[::-1] else {})


def vae(weights: Weights) -> dict[str, Any]:
    """The VAE's, but for what its latents are multiplied by."""
    count = levels(weights, "encoder.down_blocks")
    latent = _shape(weights, "decoder.conv_in.weight")[1]
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": _shape(weights, "encoder.conv_in.weight")[1],
        "out_channels": _shape(weights, "decoder.conv_out.weight")[0],
        "latent_channels": latent,
        "block_out_channels": [
            _shape(weights, f"encoder.down_blocks.{level}.resnets.0.conv1.weight")[0] for level in range(count)
        ],
        "layers_per_block": levels(weights, "encoder.down_blocks.0.resnets"),
        "down_block_types": ["DownEncoderBlock2D"] * count,
        "up_block_types": ["UpDecoderBlock2D"] * count,
    }


def text_encoder(weights: Weights, *, gelu: bool) -> dict[str, Any]:
    """A text encoder's; OpenAI's has a quicker activation than ``gelu``."""
    words, width = _shape(weights, "text_model.embeddings.token_embedding.weight")
    return {
        "architectures": ["CLIPTextModelWithProjection" if projected(weights) else "CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": _shape(weights, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
        "projection_dim": projected(weights) or width,
        "num_hidden_layers": layers(weights),
        "num_attention_heads": width // HEAD,
        "max_position_embeddings": _shape(weights, "text_model.embeddings.position_embedding.weight")[0],
        "hidden_act": "gelu" if gelu else "quick_gelu",
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
    }


def layers(weights: Weights) -> int:
    """How many layers a text encoder has."""
    return levels(weights, "text_model.encoder.layers")


def projected(weights: Weights) -> int | None:
    """How many numbers a text encoder says of a whole prompt; None if it has no projection."""
    if PROJECTION in weights:
        return weights[PROJECTION].shape[1]
    matrix = weights.get(f"{PROJECTION}.weight")
    return None if matrix is None else matrix.shape[0]


def _shape(weights: Weights, name: str) -> tuple[int, ...]:
    if name not in weights:
        raise PackageError(f"the file lacks {name}; download it again")
    return weights[name].shape
