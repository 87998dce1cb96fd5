"""An IP-Adapter (Ye et al. 2023, arXiv 2308.06721): keys and values of a picture for layers that attend to the text.

The UNet takes them as they are, so that they are made once for a run. The base adapter projects the whole picture into
a few tokens; "plus" lets tokens attend to all patches (a resampler, Alayrac et al. 2022, arXiv 2204.14198).
"""

from collections.abc import Mapping

from partway.building.graph import Graph
from partway.building.network import Network
from partway.engines.weights import Weight
from partway.graphs import KEY, VALUE

_HEAD = 64  # channels
RESAMPLED = "image_proj.latents"
"""What only "plus" has."""


def ip_adapter(weights: Mapping[str, Weight]) -> Network:
    """From what `partway.building.image.image_encoder` gives; raises as `partway.building.unet.unet` does.

    The base takes ``image_embeds`` (B, P), "plus" ``hidden_states`` (B, N, C). Both give keys and values (B, M, C).
    """
    g = Graph(weights)
    tokens = _resampled(g) if RESAMPLED in weights else _projected(g)
    for index, number in enumerate(layers(weights)):
        for kind, name in ((KEY, "to_k_ip"), (VALUE, "to_v_ip")):
            layer = f"ip_adapter.{number}.{name}"
            g.output(g.linear(tokens, layer), kind.format(index), "batch", "parts", g.shape(layer)[0])
    return g.finish()


def layers(weights: Mapping[str, Weight]) -> list[int]:
    """The numbers of the layers, in order."""
    return sorted({int(name.split(".")[1]) for name in weights if name.endswith(".to_k_ip.weight")})


def _projected(g: Graph) -> str:
    width = g.shape("image_proj.norm")[0]
    x = g.input("image_embeds", "F32", "batch", g.shape("image_proj.proj")[1])
    tokens = g.reshape(g.linear_rows(x, "image_proj.proj"), 0, -1, width)
    return g.layer_norm(tokens, "image_proj.norm")


def _resampled(g: Graph) -> str:
    _, count, width = g.shape("image_proj", "latents")
    x = g.input("hidden_states", "F32", "batch", "tokens", g.shape("image_proj.proj_in")[1])
    batch = g.concat(g.slice(g.op("Shape", x), 0, 1, 0), g.const([count, width]), axis=0)
    x = g.linear(x, "image_proj.proj_in")
    h = g.op("Expand", g.weight(RESAMPLED), batch)
    for index in range(g.count("image_proj.layers")):
        name = f"image_proj.layers.{index}"
        h = g.add(h, _attended(g, x, h, f"{name}.0"))
        inner = g.gelu(g.linear(g.layer_norm(h, f"{name}.1.0"), f"{name}.1.1"))
        h = g.add(h, g.linear(inner, f"{name}.1.3"))
    return g.layer_norm(g.linear(h, "image_proj.proj_out"), "image_proj.norm_out")


def _attended(g: Graph, x: str, latents: str, name: str) -> str:
    """Attention of the tokens to all patches and to each other."""
    asking = g.layer_norm(latents, f"{name}.norm2")
    seen = g.concat(g.layer_norm(x, f"{name}.norm1"), asking, axis=1)
    width = g.shape(f"{name}.to_q")[0]
    key, value = g.halves(g.linear(seen, f"{name}.to_kv"), width, axis=2)
    return g.linear(g.attend(g.linear(asking, f"{name}.to_q"), key, value, width // _HEAD), f"{name}.to_out")
