"""A ControlNet (Zhang et al. 2023, arXiv 2302.05543), a UNet's way down that also sees a picture.

It is diffusers' ControlNetModel.

What it gives is added to what the UNet's own way down leaves for its way up.
"""

from collections.abc import Mapping
from typing import Any

from partway.building.graph import Graph
from partway.building.network import Network
from partway.building.unet import Form, conditioning_of, encode
from partway.engines.weights import Weight
from partway.graphs import MIDDLE, RESIDUAL

Config = Mapping[str, Any]
_SEEN = "controlnet_cond_embedding"


def controlnet(weights: Mapping[str, Weight], config: Config) -> Network:
    """From the UNet's inputs and a picture (B, 3, 8h, 8w) in [0, 1]; raises as `partway.building.unet.unet` does."""
    g, form = Graph(weights), Form.of(config)
    x = g.input("sample", "F32", "batch", g.shape("conv_in")[1], "height", "width")
    conditioning = conditioning_of(g, config)
    seen = g.input("controlnet_cond", "F32", "batch", g.shape(f"{_SEEN}.conv_in")[1], "pixels_down", "pixels_across")
    h, left = encode(g, g.add(g.conv(x, "conv_in"), _hint(g, seen)), conditioning, form)
    for index, skip in enumerate(left):
        made = g.conv(skip.tensor, f"controlnet_down_blocks.{index}")
        g.output(
            made, RESIDUAL.format(index), "batch", skip.width, f"rows_residual_{index}", f"columns_residual_{index}"
        )
    middle = g.conv(h, "controlnet_mid_block")
    g.output(middle, MIDDLE, "batch", form.widths[-1], "rows_mid", "columns_mid")
    return g.finish()


def _hint(g: Graph, picture: str) -> str:
    """The picture at the size of latents: convolutions, of which each second one halves it."""
    h = g.silu(g.conv(picture, f"{_SEEN}.conv_in"))
    for index in range(g.count(f"{_SEEN}.blocks")):
        h = g.silu(g.conv(h, f"{_SEEN}.blocks.{index}", stride=1 + index % 2))
    return g.conv(h, f"{_SEEN}.conv_out")
