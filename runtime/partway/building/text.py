"""CLIP's text encoder (Radford et al. 2021, arXiv 2103.00020); transformers' CLIPTextModel, and that WithProjection."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from partway.building.graph import Graph
from partway.building.network import Network
from partway.engines.weights import Weight

Config = Mapping[str, Any]
_ROOT = "text_model"
_FAR = -3.0e38  # a score that leaves nothing of its token
_WRONG_END = 2  # what transformers' configurations of these models say the end's number is


def text_encoder(weights: Mapping[str, Weight], config: Config) -> Network:
    """From token ids (B, N) to the text, (B, N, C), and to every layer's input; raises as `unet` does.

    It also gives the whole prompt: the end token's last state, (B, C), or with a projection that of it, (B, P).
    """
    g = Graph(weights)
    words, width = g.shape(f"{_ROOT}.embeddings.token_embedding")
    heads, eps = config["num_attention_heads"], config.get("layer_norm_eps") or 1e-5
    ids = g.input("input_ids", "I64", "batch", "tokens")
    count = g.slice(g.op("Shape", ids), 1, 2, 0)
    h = g.op("Gather", g.weight(f"{_ROOT}.embeddings.token_embedding.weight"), ids)
    places = g.weight(f"{_ROOT}.embeddings.position_embedding.weight")
    h = g.add(h, g.op("Slice", places, g.const([0]), count, g.const([0])))
    mask, states = _mask(g, count), [h]
    for index in range(g.count(f"{_ROOT}.encoder.layers")):
        h = layer(g, h, f"{_ROOT}.encoder.layers.{index}", heads, eps, mask, config["hidden_act"])
        states.append(h)
    last = g.layer_norm(h, f"{_ROOT}.final_layer_norm", eps)
    g.output(last, "last_hidden_state", "batch", "tokens", width)
    told = config.get("eos_token_id", _WRONG_END)
    end = _end(g, ids, last, words - 1 if told == _WRONG_END else told)
    if g.has("text_projection"):
        g.output(g.linear_rows(end, "text_projection"), "text_embeds", "batch", "projected")
    elif "text_projection" in weights:  # OpenCLIP's, which lies the other way round
        g.output(g.op("MatMul", end, g.weight("text_projection")), "text_embeds", "batch", "projected")
    else:
        g.output(end, "pooler_output", "batch", width)
    for index, state in enumerate(states):
        g.output(state, f"hidden_states.{index}", "batch", "tokens", width)
    return g.finish()


def layer(g: Graph, x: str, name: str, heads: int, eps: float, mask: str | None, act: str) -> str:
    """Attention to what the mask leaves, then two layers of each token by itself; both are added to what goes in."""
    normal = g.layer_norm(x, f"{name}.layer_norm1", eps)
    parts = (g.linear(normal, f"{name}.self_attn.{one}_proj") for one in "qkv")
    width = g.shape(f"{name}.layer_norm1")[0]
    query, key, value = (g.reshape(part, 0, 0, heads, width // heads) for part in parts)
    query = g.mul(g.transpose(query, 0, 2, 1, 3), g.real((width // heads) ** -0.5))
    scores = g.op("MatMul", query, g.transpose(key, 0, 2, 3, 1))
    scores = scores if mask is None else g.add(scores, mask)
    mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), g.transpose(value, 0, 2, 1, 3))
    mixed = g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, 0, width)
    x = g.add(x, g.linear(mixed, f"{name}.self_attn.out_proj"))
    inner = g.linear(g.layer_norm(x, f"{name}.layer_norm2", eps), f"{name}.mlp.fc1")
    inner = g.quick_gelu(inner) if act == "quick_gelu" else g.gelu(inner)
    return g.add(x, g.linear(inner, f"{name}.mlp.fc2"))


def _mask(g: Graph, count: str) -> str:
    """What is added to the scores of tokens (N, N), so that each sees itself and earlier ones."""
    length = g.shape(f"{_ROOT}.embeddings.position_embedding")[0]
    whole = g.real(np.triu(np.full((length, length), _FAR), 1))
    return g.op("Slice", whole, g.const([0, 0]), g.concat(count, count, axis=0), g.const([0, 1]))


def _end(g: Graph, ids: str, last: str, end: int) -> str:
    """The state (B, C) of each text's first end token."""
    place = g.op("ArgMax", g.op("Cast", g.op("Equal", ids, g.const(end)), to=6), axis=1, keepdims=0)
    return g.op("GatherND", last, g.op("Unsqueeze", place, g.const([1])), batch_dims=1)
