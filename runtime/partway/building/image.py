"""CLIP's encoder of pictures (Radford et al. 2021, arXiv 2103.00020); transformers' CLIPVisionModelWithProjection."""

from collections.abc import Mapping
from typing import Any

from partway.building.graph import Graph
from partway.building.network import Network
from partway.building.text import layer
from partway.engines.weights import Weight

Config = Mapping[str, Any]
_ROOT = "vision_model"


def image_encoder(weights: Mapping[str, Weight], config: Config) -> Network:
    """From normalised pixels (B, 3, S, S) to the whole picture, (B, P), and to the last layer's input, (B, N, C).

    Raises as `partway.building.unet.unet` does.
    """
    g = Graph(weights)
    heads, eps = config["num_attention_heads"], config.get("layer_norm_eps") or 1e-5
    width, _, side, _ = g.shape(f"{_ROOT}.embeddings.patch_embedding")
    x = g.input("pixel_values", "F32", "batch", 3, "rows", "columns")
    patches = g.op(
        "Conv", x, g.weight(f"{_ROOT}.embeddings.patch_embedding.weight"), kernel_shape=(side, side),
        strides=(side, side),
    )  # fmt: skip
    patches = g.transpose(g.reshape(patches, 0, width, -1), 0, 2, 1)
    first = g.weight(f"{_ROOT}.embeddings.class_embedding", (1, 1, width))
    batch = g.concat(g.slice(g.op("Shape", x), 0, 1, 0), g.const([1, width]), axis=0)
    h = g.concat(g.op("Expand", first, batch), patches, axis=1)
    h = g.layer_norm(g.add(h, g.weight(f"{_ROOT}.embeddings.position_embedding.weight")), f"{_ROOT}.pre_layrnorm", eps)
    states = [h]
    for index in range(g.count(f"{_ROOT}.encoder.layers")):
        states.append(layer(g, states[-1], f"{_ROOT}.encoder.layers.{index}", heads, eps, None, config["hidden_act"]))
    whole = g.op("Gather", states[-1], g.const(0), axis=1)
    whole = g.layer_norm(whole, f"{_ROOT}.post_layernorm", eps)
    g.output(g.linear_rows(whole, "visual_projection"), "image_embeds", "batch", g.shape("visual_projection")[0])
    g.output(states[-2], "hidden_states", "batch", "tokens", width)
    return g.finish()
