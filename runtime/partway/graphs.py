"""The names of a model's networks and of their files: what engines, packages and plans all call them.

It imports nothing of partway, so that each of those can.
"""

from collections.abc import Mapping
from typing import Any

TOKENIZERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}
"""The folder of the tokenizer that each text encoder has."""

NETWORKS = (*TOKENIZERS, "unet", "vae_encoder", "vae_decoder")
"""What every model has; the second text encoder is SDXL's, whose refiner lacks the first."""

ADAPTED = (*TOKENIZERS, "unet")
"""What adapters may change."""

FILES = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}
"""The file of a network in its folder, by format."""

BUILT = "safetensors"
"""The format of a model that is not exported: its networks are built."""

FORMATS = {"onnx": "ONNX", "openvino": "OpenVINO IR", BUILT: "weights that are not exported"}
"""What people call the formats."""

WEIGHTS = {"onnx": "model.onnx_data", "openvino": "openvino_model.bin"}
"""The file beside it that holds its weights, by format; ONNX graphs that are small and alone hold their own."""

FUSED = {"attention": "fused"}
"""What ``partway.json`` says of ONNX graphs whose attention is one operator."""

SHALLOW = "unet_shallow"
"""The UNet's outermost layers, where the export split them off (`partway.diffusion.reuse`)."""

SHALLOW_FILES = {"onnx": "shallow.onnx", "openvino": "shallow.xml"}
"""The file of those layers, beside the UNet's."""

DEEP = "deep_features"
"""What the whole UNet of such a package also gives, and the shallow one takes."""

SEGMENT = "segment_{}.onnx"
"""Files of the UNet cut into parts that run in turn (`partway.engines.streamed`), beside its whole one."""

MAX_SEGMENTS = 64

TINY_ENCODER, TINY_DECODER = "tiny_encoder", "tiny_decoder"

TINY = (TINY_ENCODER, TINY_DECODER)
"""A tiny autoencoder (TAESD's kind): many times faster and a little less exact; its latents are scaled ones."""

VAES = {"own": ("vae_encoder", "vae_decoder"), "tiny": TINY, "tiny-decoder": ("vae_encoder", TINY_DECODER)}
"""Encoder and decoder, by what the setting ``vae`` calls them.

A tiny encoder's latents are a little others, of which the UNet makes another picture; a tiny decoder alone draws the
same picture, softer.
"""

RESIDUAL, MIDDLE = "down_residual_{}", "mid_residual"
"""What a ControlNet gives, and a UNet that is built for that takes: for each skip of the way down, and the middle."""

FEATURE = "feature_{}"
"""What a T2I-Adapter gives and such a UNet takes, by the level on the way down."""

KEY, VALUE = "image_key_{}", "image_value_{}"
"""What an IP-Adapter makes of a picture for each layer that attends to the text, and such a UNet takes."""

CONTROL = "control_{}"
"""The networks that guide the UNet by pictures, in the order in which a run names them."""

MAX_CONTROLS = 8

CONTROLS = tuple(map(CONTROL.format, range(MAX_CONTROLS)))

IMAGE_ENCODER, IMAGE_ADAPTER = "image_encoder", "image_adapter"
"""CLIP's encoder of pictures, and the IP-Adapter that turns what it gives into keys and values."""

_PORTS = frozenset(
    {
        *("input_ids", "last_hidden_state", "pooler_output", "text_embeds"),
        *("sample", "timestep", "encoder_hidden_states", "timestep_cond", "time_ids", "out_sample", "noise_pred", DEEP),
        *("latent_sample", "latent_parameters"),
    }
)


def is_port(name: str) -> bool:
    """Whether networks of Stable Diffusion have an input or output of this name, be it with a prefix before it."""
    return name.split(".")[-1] in _PORTS or name.startswith("hidden_states.")


def is_guide(name: str) -> bool:
    """Whether an input of the UNet is one that adapters of pictures give it, and no plain one has."""
    return name == MIDDLE or name.startswith(tuple(one.removesuffix("{}") for one in (RESIDUAL, FEATURE, KEY, VALUE)))


def skips(unet: Mapping[str, Any]) -> list[tuple[int, int]]:
    """For each skip of the way down, by the UNet's configuration: the level whose channels it has, and its halvings."""
    levels, layers = len(unet["block_out_channels"]), unet.get("layers_per_block", 2)
    found = [(0, 0)]
    for level in range(levels):
        found += [(level, level)] * (layers if isinstance(layers, int) else layers[level])
        found += [(level, level + 1)] * (level < levels - 1)
    return found
