"""A tiny autoencoder (TAESD, Bohan 2023) in the VAE's place, whose latents are scaled ones; diffusers' AutoencoderTiny.

Its layers are one row of convolutions and small residual blocks. The convolutions that halve or follow a doubling of
the size are those that have no bias.
"""

from collections.abc import Mapping

from partway.building.graph import Graph
from partway.building.network import Network
from partway.engines.weights import Weight


def tiny_encoder(weights: Mapping[str, Weight]) -> Network:
    """From pixels (B, 3, 8h, 8w) in [-1, 1] to latents (B, C, h, w); raises as `partway.building.unet.unet` does."""
    g = Graph(weights)
    h = g.input("sample", "F32", "batch", g.shape("encoder.layers.0")[1], "height", "width")
    h = g.mul(g.add(h, g.real(1)), g.real(0.5))
    for name in _layers(weights, "encoder"):
        stride = 1 if g.has(name, "bias") else 2
        h = _block(g, h, name) if g.has(f"{name}.conv.0") else g.conv(h, name, stride=stride)
    g.output(h, "latents", "batch", "channels", "rows", "columns")
    return g.finish()


def tiny_decoder(weights: Mapping[str, Weight]) -> Network:
    """The way back; raises as `tiny_encoder` does."""
    g = Graph(weights)
    h = g.input("latent_sample", "F32", "batch", g.shape("decoder.layers.0")[1], "height", "width")
    h = g.mul(g.op("Tanh", g.op("Div", h, g.real(3))), g.real(3))
    first, *others = _layers(weights, "decoder")
    h = g.op("Relu", g.conv(h, first))
    for name in others:
        block = g.has(f"{name}.conv.0")
        h = h if block or g.has(name, "bias") else g.enlarge(h)
        h = _block(g, h, name) if block else g.conv(h, name)
    h = g.op("Sub", g.mul(h, g.real(2)), g.real(1))
    g.output(h, "sample", "batch", "channels", "rows", "columns")
    return g.finish()


def _block(g: Graph, x: str, name: str) -> str:
    h = g.op("Relu", g.conv(x, f"{name}.conv.0"))
    h = g.conv(g.op("Relu", g.conv(h, f"{name}.conv.2")), f"{name}.conv.4")
    return g.op("Relu", g.add(h, g.conv(x, f"{name}.skip") if g.has(f"{name}.skip") else x))


def _layers(weights: Mapping[str, Weight], half: str) -> list[str]:
    """Names of the layers that have weights, first one first."""
    numbers = {int(name.split(".")[2]) for name in weights if name.startswith(f"{half}.layers.")}
    return [f"{half}.layers.{number}" for number in sorted(numbers)]
