"""The autoencoder between pictures and latents (Rombach et al. 2022, arXiv 2112.10752); diffusers' AutoencoderKL."""

from collections.abc import Mapping
from typing import Any

from partway.building.graph import Graph
from partway.building.network import Network
from partway.building.unet import resnet
from partway.engines.weights import Weight

Config = Mapping[str, Any]
_EPS = 1e-6


def vae_encoder(weights: Mapping[str, Weight], config: Config) -> Network:
    """From pixels (B, 3, 8h, 8w) to mean and log variance of latents, (B, 2C, h, w); raises as `unet` does."""
    g, groups = Graph(weights), config.get("norm_num_groups") or 32
    x = g.input("sample", "F32", "batch", g.shape("encoder.conv_in")[1], "height", "width")
    h = g.conv(x, "encoder.conv_in")
    for level in range(g.count("encoder.down_blocks")):
        block = f"encoder.down_blocks.{level}"
        for index in range(g.count(f"{block}.resnets")):
            h = resnet(g, h, f"{block}.resnets.{index}", groups, _EPS)
        if g.has(f"{block}.downsamplers.0.conv"):
            h = g.conv(h, f"{block}.downsamplers.0.conv", stride=2, pads=(0, 0, 1, 1))
    h = _middle(g, h, "encoder.mid_block", groups)
    h = g.conv(g.silu(g.group_norm(h, "encoder.conv_norm_out", groups, _EPS)), "encoder.conv_out")
    h = g.conv(h, "quant_conv") if g.has("quant_conv") else h
    g.output(h, "latent_parameters", "batch", g.shape("encoder.conv_out")[0], "rows", "columns")
    return g.finish()


def vae_decoder(weights: Mapping[str, Weight], config: Config) -> Network:
    """From latents (B, C, h, w) to pixels (B, 3, 8h, 8w); raises as `unet` does."""
    g, groups = Graph(weights), config.get("norm_num_groups") or 32
    h = g.input("latent_sample", "F32", "batch", g.shape("decoder.conv_in")[1], "height", "width")
    h = g.conv(h, "post_quant_conv") if g.has("post_quant_conv") else h
    h = _middle(g, g.conv(h, "decoder.conv_in"), "decoder.mid_block", groups)
    for level in range(g.count("decoder.up_blocks")):
        block = f"decoder.up_blocks.{level}"
        for index in range(g.count(f"{block}.resnets")):
            h = resnet(g, h, f"{block}.resnets.{index}", groups, _EPS)
        if g.has(f"{block}.upsamplers.0.conv"):
            h = g.conv(g.enlarge(h), f"{block}.upsamplers.0.conv")
    h = g.conv(g.silu(g.group_norm(h, "decoder.conv_norm_out", groups, _EPS)), "decoder.conv_out")
    g.output(h, "sample", "batch", g.shape("decoder.conv_out")[0], "rows", "columns")
    return g.finish()


def _middle(g: Graph, x: str, name: str, groups: int) -> str:
    """Two residual blocks, and between them pixels that attend to each other with one head."""
    h, block = resnet(g, x, f"{name}.resnets.0", groups, _EPS), f"{name}.attentions.0"
    if g.has(f"{block}.group_norm"):
        normal = g.group_norm(h, f"{block}.group_norm", groups, _EPS)
        tokens = g.transpose(g.reshape(normal, 0, g.shape(f"{block}.group_norm")[0], -1), 0, 2, 1)
        h = g.add(h, g.shaped(g.transpose(g.attention(tokens, block, 1), 0, 2, 1), h))
    return resnet(g, h, f"{name}.resnets.1", groups, _EPS)
