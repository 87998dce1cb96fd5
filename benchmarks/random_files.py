"""A model as one .safetensors file, of a published size and of random weights, written a tensor at a time by NumPy.

Names and shapes are those of the original code, which every tool reads; norms are 1, biases 0, and other weights are
normal numbers that keep what goes through a layer at its size. No torch, no download.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

Shapes = dict[str, tuple[int, ...]]
_BLOCK = 1 << 20  # normal numbers that are drawn once, and taken from any place on


class Size(NamedTuple):
    """What a model's networks are made of.

    widths    the UNet's channels by level, and ``depths``: layers of its transformers there
    vae       the VAE's channels by level
    context   width of the text; ``text``: (words, width, layers) of the first encoder, ``second``: of OpenCLIP's
    told      numbers that the UNet is told beside the text, 0 for none
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    vae: tuple[int, ...]
    context: int
    text: tuple[int, int, int]
    second: tuple[int, int, int] | None = None
    told: int = 0


SIZES = {
    "sd15": Size((320, 640, 1280, 1280), (1, 1, 1, 0), (128, 256, 512, 512), 768, (49408, 768, 12)),
    "sdxl": Size((320, 640, 1280), (0, 2, 10), (128, 256, 512, 512), 2048, (49408, 768, 12), (49408, 1280, 32), 2816),
    "mid": Size((160, 320, 640, 640), (1, 1, 1, 0), (128, 256, 512, 512), 768, (49408, 768, 12)),
    "tiny": Size((64, 64, 128), (1, 1, 0), (32, 32, 32, 32), 64, (49408, 64, 2)),
    "tiny-xl": Size((64, 64, 128), (0, 1, 2), (32, 32, 32, 32), 128, (49408, 64, 2), (49408, 64, 2), 64 + 6 * 256),
}


def shapes(size: Size) -> Shapes:
    """Every tensor of a model by the original code's name."""
    found = {f"model.diffusion_model.{name}": shape for name, shape in _unet(size)}
    found |= {f"first_stage_model.{name}": shape for name, shape in _vae(size.vae)}
    root = "conditioner.embedders.0.transformer" if size.second else "cond_stage_model.transformer"
    found |= {f"{root}.text_model.{name}": shape for name, shape in _text(*size.text)}
    if size.second:
        found |= {f"conditioner.embedders.1.model.{name}": shape for name, shape in _openclip(*size.second)}
    return found


def controlnet(size: Size) -> Shapes:
    """Every tensor of a ControlNet for such a model, by its authors' names."""
    down = ("input_blocks.", "middle_block.", "time_embed.", "label_emb.")
    found = {name: shape for name, shape in _unet(size) if name.startswith(down)}
    seen = (3, 16, 16, 32, 32, 96, 96, 256, size.widths[0])
    for index, (before, after) in enumerate(pairwise(seen)):
        found |= dict(_layer(f"input_hint_block.{2 * index}", after, before, 3, 3))
    skips = [size.widths[0], *(wide for wide in size.widths for _ in range(3))][: 3 * len(size.widths)]
    for index, wide in enumerate(skips):
        found |= dict(_layer(f"zero_convs.{index}.0", wide, wide, 1, 1))
    found |= dict(_layer("middle_block_out.0", size.widths[-1], size.widths[-1], 1, 1))
    return {f"control_model.{name}": shape for name, shape in found.items()}


def write(path: Path, size: Size, seed: int = 0) -> None:
    """Write the model in float16."""
    write_tensors(path, shapes(size), seed)


def configs(file: Path) -> Path:
    """diffusers' folder of the file's configurations, without weights, beside it, for tools that would fetch them."""
    from partway.model.package import open_package
    from partway_export.package import write_settings

    folder = file.with_name(f"{file.stem}-configs")
    if not (folder / "vae/config.json").exists():
        write_settings(open_package(file), folder)
        (folder / "vae").mkdir()
        os.replace(folder / "vae_encoder/config.json", folder / "vae/config.json")
    return folder


def write_tensors(path: Path, tensors: Shapes, seed: int = 0) -> None:
    """Write tensors of these shapes in float16."""
    entries, at = {}, 0
    for name, shape in tensors.items():
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + 2 * prod(shape)]}
        at += 2 * prod(shape)
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal(_BLOCK, dtype=np.float32)
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors.items():
            for chunk in _numbers(name, shape, drawn, int(rng.integers(_BLOCK))):
                file.write(chunk.astype(np.float16).tobytes())


def _numbers(name: str, shape: Sequence[int], drawn: np.ndarray, start: int) -> Iterator[np.ndarray]:
    count = prod(shape)
    if len(shape) == 1:
        yield np.full(count, not name.endswith("bias"), np.float32)
        return
    scale = np.float32(prod(shape[1:]) ** -0.5)
    while count:
        part = drawn[start : start + count] * scale
        yield part
        count, start = count - len(part), 0


def _layer(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    return _layer(name, width)


def _unet(size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    first, told = size.widths[0], 4 * size.widths[0]
    yield from (*_layer("time_embed.0", told, first), *_layer("time_embed.2", told, told))
    if size.told:
        yield from (*_layer("label_emb.0.0", told, size.told), *_layer("label_emb.0.2", told, told))
    yield from _layer("input_blocks.0.0", first, 4, 3, 3)
    left, number, width = [first], 1, first
    for level, (wide, depth) in enumerate(zip(size.widths, size.depths, strict=True)):
        for _ in range(2):
            yield from _resnet(f"input_blocks.{number}.0", width, wide, told)
            yield from _transformer(f"input_blocks.{number}.1", wide, depth, size)
            left.append(width := wide)
            number += 1
        if level + 1 < len(size.widths):
            yield from _layer(f"input_blocks.{number}.0.op", wide, wide, 3, 3)
            left.append(wide)
            number += 1
    depth = max(size.depths[-1], 1)
    yield from _resnet("middle_block.0", width, width, told)
    yield from _transformer("middle_block.1", width, depth, size)
    yield from _resnet("middle_block.2", width, width, told)
    number = 0
    for level in reversed(range(len(size.widths))):
        wide, depth = size.widths[level], size.depths[level]
        for index in range(3):
            yield from _resnet(f"output_blocks.{number}.0", width + left.pop(), wide, told)
            yield from _transformer(f"output_blocks.{number}.1", wide, depth, size)
            width = wide
            if index == 2 and level:
                yield from _layer(f"output_blocks.{number}.{1 + bool(depth)}.conv", wide, wide, 3, 3)
            number += 1
    yield from (*_norm("out.0", first), *_layer("out.2", 4, first, 3, 3))


def _resnet(name: str, before: int, after: int, told: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from (*_norm(f"{name}.in_layers.0", before), *_layer(f"{name}.in_layers.2", after, before, 3, 3))
    yield from _layer(f"{name}.emb_layers.1", after, told)
    yield from (*_norm(f"{name}.out_layers.0", after), *_layer(f"{name}.out_layers.3", after, after, 3, 3))
    if before != after:
        yield from _layer(f"{name}.skip_connection", after, before, 1, 1)


def _transformer(name: str, width: int, depth: int, size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    if not depth:
        return
    ends = (width, width) if size.second else (width, width, 1, 1)
    yield from (*_norm(f"{name}.norm", width), *_layer(f"{name}.proj_in", *ends), *_layer(f"{name}.proj_out", *ends))
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, seen in (("attn1", width), ("attn2", size.context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, seen)
            yield f"{block}.{attention}.to_v.weight", (width, seen)
            yield from _layer(f"{block}.{attention}.to_out.0", width, width)
        yield from (*_layer(f"{block}.ff.net.0.proj", 8 * width, width), *_layer(f"{block}.ff.net.2", width, 4 * width))
        for norm in (1, 2, 3):
            yield from _norm(f"{block}.norm{norm}", width)


def _vae(widths: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    last = widths[-1]
    yield from (*_layer("encoder.conv_in", widths[0], 3, 3, 3), *_layer("encoder.conv_out", 8, last, 3, 3))
    yield from (*_layer("decoder.conv_in", last, 4, 3, 3), *_layer("decoder.conv_out", 3, widths[0], 3, 3))
    yield from (*_layer("quant_conv", 8, 8, 1, 1), *_layer("post_quant_conv", 4, 4, 1, 1))
    for half, end in (("encoder", last), ("decoder", widths[0])):
        yield from _norm(f"{half}.norm_out", end)
        for index in (1, 2):
            yield from _block(f"{half}.mid.block_{index}", last, last)
        yield from _norm(f"{half}.mid.attn_1.norm", last)
        for one in ("q", "k", "v", "proj_out"):
            yield from _layer(f"{half}.mid.attn_1.{one}", last, last, 1, 1)
    before = widths[0]
    for level, wide in enumerate(widths):
        yield from _block(f"encoder.down.{level}.block.0", before, wide)
        yield from _block(f"encoder.down.{level}.block.1", wide, wide)
        if level + 1 < len(widths):
            yield from _layer(f"encoder.down.{level}.downsample.conv", wide, wide, 3, 3)
        before = wide
    for level in reversed(range(len(widths))):
        wide = widths[level]
        for index in range(3):
            yield from _block(f"decoder.up.{level}.block.{index}", before if index == 0 else wide, wide)
        if level:
            yield from _layer(f"decoder.up.{level}.upsample.conv", wide, wide, 3, 3)
        before = wide


def _block(name: str, before: int, after: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from (*_norm(f"{name}.norm1", before), *_layer(f"{name}.conv1", after, before, 3, 3))
    yield from (*_norm(f"{name}.norm2", after), *_layer(f"{name}.conv2", after, after, 3, 3))
    if before != after:
        yield from _layer(f"{name}.nin_shortcut", after, before, 1, 1)


def _text(words: int, width: int, layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "embeddings.token_embedding.weight", (words, width)
    yield "embeddings.position_embedding.weight", (77, width)
    yield from _norm("final_layer_norm", width)
    for index in range(layers):
        layer = f"encoder.layers.{index}"
        for one in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _layer(f"{layer}.self_attn.{one}", width, width)
        yield from _feed_forward(layer, ("mlp.fc1", "mlp.fc2"), ("layer_norm1", "layer_norm2"), width)


def _openclip(words: int, width: int, layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from (("token_embedding.weight", (words, width)), ("positional_embedding", (77, width)))
    yield from (*_norm("ln_final", width), ("text_projection", (width, width)))
    for index in range(layers):
        layer = f"transformer.resblocks.{index}"
        yield from (
            (f"{layer}.attn.in_proj_weight", (3 * width, width)),
            (f"{layer}.attn.in_proj_bias", (3 * width,)),
        )
        yield from _layer(f"{layer}.attn.out_proj", width, width)
        yield from _feed_forward(layer, ("mlp.c_fc", "mlp.c_proj"), ("ln_1", "ln_2"), width)


def _feed_forward(
    layer: str, linear: Iterable[str], norms: Iterable[str], width: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    up, down = linear
    yield from (*_layer(f"{layer}.{up}", 4 * width, width), *_layer(f"{layer}.{down}", width, 4 * width))
    for norm in norms:
        yield from _norm(f"{layer}.{norm}", width)
