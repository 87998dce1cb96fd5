"""The UNet of Stable Diffusion 1.x, 2.x and XL (Rombach et al. 2022, arXiv 2112.10752; Podell et al. 2023, 2307.01952).

Beside diffusers' UNet2DConditionModel: pictures go down through levels, each of half the size, and up again, where each
layer is also given what one on the way down has left. Which layers there are, and how many transformers in each, is
seen from the weights; a configuration tells what weights do not.
"""

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from partway.building.graph import Graph
from partway.building.network import Network
from partway.engines.weights import Weight
from partway.graphs import DEEP, FEATURE, KEY, MIDDLE, RESIDUAL, VALUE

Config = Mapping[str, Any]
_RESNET_EPS, _TRANSFORMER_EPS = 1e-5, 1e-6


class Conditioning(NamedTuple):
    """What all layers are conditioned on: the noise level and more (B or 1, C), and the text (B, N, C).

    image_prompt  keys and values of a picture, each (B, M, C), by the layer that attends to them beside the text
    """

    time: str
    text: str
    image_prompt: Mapping[str, tuple[str, str]] = MappingProxyType({})


class Form(NamedTuple):
    """What weights do not tell of levels: the channels and heads of each, and the groups of normalisation."""

    widths: Sequence[int]
    heads: Sequence[int]
    groups: int

    @classmethod
    def of(cls, config: Config) -> "Form":
        """That of a configuration."""
        widths = config["block_out_channels"]
        heads = _each(config.get("num_attention_heads") or config["attention_head_dim"], len(widths))
        return cls(widths, heads, config.get("norm_num_groups") or 32)


class Extras(NamedTuple):
    """What a UNet is built to take beside its own inputs.

    residuals  whether it takes a ControlNet's, `RESIDUAL` and `MIDDLE`
    features   how many of a T2I-Adapter's it takes, `FEATURE`
    image_prompt   whether it takes an IP-Adapter's, `KEY` and `VALUE`
    """

    residuals: bool = False
    features: int = 0
    image_prompt: bool = False


PLAIN = Extras()


def unet(weights: Mapping[str, Weight], config: Config, extras: Extras = PLAIN) -> Network:
    """Build it; raises `PackageError` naming weights that are missing.

    It gives the prediction, and the features `DEEP` that its last layer on the way up begins with.
    """
    g, form = Graph(weights), Form.of(config)
    x = g.input("sample", "F32", "batch", g.shape("conv_in")[1], "height", "width")
    conditioning = conditioning_of(g, config, image_prompt=extras.image_prompt)
    h, left = encode(g, g.conv(x, "conv_in"), conditioning, form, _features(g, form, extras.features))
    residuals = _residuals(g, left) if extras.residuals else []
    h = g.add(h, g.input(MIDDLE, "F32", "batch", form.widths[-1], "rows_mid", "columns_mid")) if residuals else h
    for block, (width, count) in enumerate(zip(reversed(form.widths), reversed(form.heads), strict=True)):
        for index in range(g.count(f"up_blocks.{block}.resnets")):
            if len(left) == 1:
                h = g.named(h, DEEP)
            skip = left.pop().tensor
            joined = g.concat(h, g.add(skip, residuals.pop()) if residuals else skip, axis=1)
            h = _layer(g, joined, f"up_blocks.{block}", index, conditioning, count, form.groups)
            g.seam(h, "batch", width, f"rows_up_{block}", f"columns_up_{block}")
        if g.has(f"up_blocks.{block}.upsamplers.0.conv"):
            h = g.conv(g.enlarge(h, like=left[-1].tensor), f"up_blocks.{block}.upsamplers.0.conv")
            g.seam(h, "batch", width, f"rows_up_{block}", f"columns_up_{block}")
    h = g.conv(g.silu(g.group_norm(h, "conv_norm_out", form.groups, _RESNET_EPS)), "conv_out")
    g.output(h, "out_sample", "batch", g.shape("conv_out")[0], "height", "width")
    g.output(DEEP, DEEP, "batch", form.widths[0], "height", "width")
    return g.finish()


class Skip(NamedTuple):
    """What a layer on the way down leaves for the way up, (B, ``width``, h, w)."""

    tensor: str
    width: int


def encode(
    g: Graph, h: str, conditioning: Conditioning, form: Form, features: Sequence[str] = ()
) -> tuple[str, list[Skip]]:
    """The way down and the middle: what the middle gives, and what each layer leaves, from (B, C, h, w).

    ``features`` are added to the end of each level, and one more to the middle (Mou et al. 2023, arXiv 2302.08453).
    """
    left = [Skip(g.seam(h, "batch", form.widths[0], "height", "width"), form.widths[0])]
    for level, width in enumerate(form.widths):
        block, count = f"down_blocks.{level}", g.count(f"down_blocks.{level}.resnets")
        smaller = g.has(f"{block}.downsamplers.0.conv")
        feature = features[level] if level < len(features) else None
        early = not smaller or g.has(f"{block}.attentions.{count - 1}.norm")  # before a level with attention is halved
        for index in range(count):
            h = _layer(g, h, block, index, conditioning, form.heads[level], form.groups)
            h = g.add(h, feature) if feature and early and index == count - 1 else h
            left.append(Skip(g.seam(h, "batch", width, f"rows_{level}", f"columns_{level}"), width))
        if smaller:
            h = g.conv(h, f"{block}.downsamplers.0.conv", stride=2)
            h = g.add(h, feature) if feature and not early else h
            left.append(Skip(g.seam(h, "batch", width, f"rows_{level + 1}", f"columns_{level + 1}"), width))
    if g.has("mid_block.resnets.0.conv1"):
        h = _layer(g, h, "mid_block", 0, conditioning, form.heads[-1], form.groups)
        for index in range(1, g.count("mid_block.resnets")):
            h = resnet(g, h, f"mid_block.resnets.{index}", form.groups, _RESNET_EPS, conditioning.time)
        h = g.add(h, features[-1]) if len(features) > len(form.widths) else h
        g.seam(h, "batch", form.widths[-1], "rows", "columns")
    return h, left


def conditioning_of(g: Graph, config: Config, *, image_prompt: bool = False) -> Conditioning:
    """The `Conditioning` of all layers, as inputs of the network."""
    time = _time(g, config)
    text = g.input("encoder_hidden_states", "F32", "batch", "tokens", _text_width(g.known, config))
    return Conditioning(time, text, _image_prompt(g) if image_prompt else {})


def attending(weights: Mapping[str, Weight]) -> list[str]:
    """The layers that attend to the text, in the order in which IP-Adapters number them: down, up, middle."""
    found: dict[str, tuple[int, ...]] = {}
    for name in weights:
        if name.endswith(".attn2.to_k.weight"):
            side = ("down", "up", "mid").index(name.partition("_")[0])
            found[name.removesuffix(".to_k.weight")] = (side, *map(int, re.findall(r"\.(\d+)", name)))
    return sorted(found, key=found.__getitem__)


def _image_prompt(g: Graph) -> dict[str, tuple[str, str]]:
    """Keys and values of a picture, as inputs."""

    def one(kind: str, index: int, layer: str) -> str:
        return g.input(kind.format(index), "F32", "batch", "parts", g.shape(f"{layer}.to_k")[0])

    return {layer: (one(KEY, at, layer), one(VALUE, at, layer)) for at, layer in enumerate(attending(g.known))}


def _features(g: Graph, form: Form, count: int) -> list[str]:
    """A T2I-Adapter's, as inputs."""
    widths = [*form.widths, form.widths[-1]][:count]
    return [
        g.input(FEATURE.format(at), "F32", "batch", width, f"rows_feature_{at}", f"columns_feature_{at}")
        for at, width in enumerate(widths)
    ]


def _residuals(g: Graph, left: Sequence[Skip]) -> list[str]:
    """A ControlNet's, as inputs."""
    return [
        g.input(RESIDUAL.format(at), "F32", "batch", skip.width, f"rows_residual_{at}", f"columns_residual_{at}")
        for at, skip in enumerate(left)
    ]


def resnet(g: Graph, x: str, name: str, groups: int, eps: float, time: str | None = None) -> str:
    """A residual block (He et al. 2015), which adds the embedded noise level to every pixel."""
    h = g.conv(g.silu(g.group_norm(x, f"{name}.norm1", groups, eps)), f"{name}.conv1")
    if time is not None:
        h = g.add(h, g.op("Unsqueeze", g.linear_rows(time, f"{name}.time_emb_proj"), g.const([2, 3])))
    h = g.conv(g.silu(g.group_norm(h, f"{name}.norm2", groups, eps)), f"{name}.conv2")
    return g.add(g.conv(x, f"{name}.conv_shortcut") if g.has(f"{name}.conv_shortcut") else x, h)


def _layer(g: Graph, x: str, block: str, index: int, conditioning: Conditioning, heads: int, groups: int) -> str:
    """A residual block, and a transformer where the weights have one."""
    h = resnet(g, x, f"{block}.resnets.{index}", groups, _RESNET_EPS, conditioning.time)
    name = f"{block}.attentions.{index}"
    return _transformer(g, h, name, conditioning, heads, groups) if g.has(f"{name}.norm") else h


def _transformer(g: Graph, x: str, name: str, conditioning: Conditioning, heads: int, groups: int) -> str:
    """Pixels as tokens that attend to each other and to the text; each part is added to what goes in."""
    channels = g.shape(f"{name}.norm")[0]
    linear = len(g.shape(f"{name}.proj_in")) == 2
    h = g.group_norm(x, f"{name}.norm", groups, _TRANSFORMER_EPS)
    h = h if linear else g.conv(h, f"{name}.proj_in")
    h = g.transpose(g.reshape(h, 0, channels, -1), 0, 2, 1)
    h = g.linear(h, f"{name}.proj_in") if linear else h
    for index in range(g.count(f"{name}.transformer_blocks")):
        block = f"{name}.transformer_blocks.{index}"
        h = g.add(h, g.attention(g.layer_norm(h, f"{block}.norm1"), f"{block}.attn1", heads))
        beside = conditioning.image_prompt.get(f"{block}.attn2")
        seen = g.layer_norm(h, f"{block}.norm2")
        h = g.add(h, g.attention(seen, f"{block}.attn2", heads, context=conditioning.text, beside=beside))
        h = g.add(h, _feed_forward(g, g.layer_norm(h, f"{block}.norm3"), f"{block}.ff"))
    h = g.linear(h, f"{name}.proj_out") if linear else h
    h = g.shaped(g.transpose(h, 0, 2, 1), x)
    return g.add(x, h if linear else g.conv(h, f"{name}.proj_out"))


def _feed_forward(g: Graph, x: str, name: str) -> str:
    """Two layers with a gate between them (GEGLU, Shazeer 2020, arXiv 2002.05202)."""
    half = g.shape(f"{name}.net.0.proj")[0] // 2
    value, gate = g.halves(g.linear(x, f"{name}.net.0.proj"), half, axis=2)
    return g.linear(g.mul(value, g.gelu(gate)), f"{name}.net.2")


def _time(g: Graph, config: Config) -> str:
    """The conditions beside the text, as one vector: the noise level, and for some kinds a guidance scale, or sizes."""
    flip, shift = config.get("flip_sin_to_cos", True), config.get("freq_shift", 0)
    vector = _waves(g, g.input("timestep", "F32", 1), g.shape("time_embedding.linear_1")[1], flip, shift)
    rows: int | str = 1
    if g.has("time_embedding.cond_proj"):  # the guidance scale: Meng et al. 2022, arXiv 2210.03142
        rows = "batch"
        scale_embedding = g.input("timestep_cond", "F32", rows, g.shape("time_embedding.cond_proj")[1])
        vector = g.add(vector, g.linear_rows(scale_embedding, "time_embedding.cond_proj"))
    time = _embed(g, vector, "time_embedding")
    if g.has("add_embedding.linear_1"):
        rows = "batch"
        text, sizes = g.input("text_embeds", "F32", rows, "projected"), g.input("time_ids", "F32", rows, "sizes")
        waves = g.reshape(_waves(g, sizes, config["addition_time_embed_dim"], flip, shift), 0, -1)
        time = g.add(time, _embed(g, g.concat(text, waves, axis=1), "add_embedding"))
    return g.keep(g.silu(time), rows, g.shape("time_embedding.linear_2")[0])


def _embed(g: Graph, x: str, name: str) -> str:
    return g.linear_rows(g.silu(g.linear_rows(x, f"{name}.linear_1")), f"{name}.linear_2")


def _waves(g: Graph, numbers: str, size: int, flip: bool, shift: float) -> str:
    """Each of the numbers as ``size`` sines and cosines, along a new last axis (Vaswani et al. 2017)."""
    half = size // 2
    rates = np.exp(-math.log(10000) * np.arange(half, dtype=np.float32) / np.float32(half - shift))
    angles = g.mul(g.op("Unsqueeze", numbers, g.const([-1])), g.real(rates))
    parts = [g.op("Sin", angles), g.op("Cos", angles)]
    return g.concat(*(reversed(parts) if flip else parts), axis=-1)


def _text_width(weights: Mapping[str, Weight], config: Config) -> int:
    widths = (weight.shape[1] for name, weight in weights.items() if name.endswith("attn2.to_k.weight"))
    return next(widths, 0) or int(config["cross_attention_dim"])  # a ControlNet may do without the text


def _each(value: Any, count: int) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value] * count
