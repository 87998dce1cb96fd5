"""A T2I-Adapter (Mou et al. 2023, arXiv 2302.08453), which sees a picture once; diffusers' T2IAdapter.

Its features are added to the UNet's way down, level by level.
"""

from collections.abc import Mapping

from partway.building.graph import Graph
from partway.building.network import Network
from partway.engines.weights import Weight
from partway.graphs import FEATURE

_BODY = "adapter.body"
LIGHT = f"{_BODY}.0.out_conv.weight"
"""What only light ones have."""


def t2i_adapter(weights: Mapping[str, Weight], halved: frozenset[int], *, channels: int) -> Network:
    """From a picture (B, ``channels``, H, W) in [0, 1]; the levels ``halved`` begin with halving.

    Raises as `partway.building.unet.unet` does.
    """
    g, light = Graph(weights), LIGHT in weights
    first = f"{_BODY}.0.in_conv" if light else "adapter.conv_in"
    factor = round((g.shape(first)[1] / channels) ** 0.5)
    x = g.input("picture", "F32", "batch", channels, "pixels_down", "pixels_across")
    h = _folded(g, x, channels, factor)
    h = h if light else g.conv(h, first)
    for level in range(g.count(_BODY)):
        h = _level(g, h, f"{_BODY}.{level}", halve=level in halved)
        g.output(h, FEATURE.format(level), "batch", _width(g, level, light=light), f"rows_{level}", f"columns_{level}")
    return g.finish()


def _folded(g: Graph, x: str, channels: int, factor: int) -> str:
    """Squares of ``factor`` pixels as so many channels; rows and columns come after the picture's own channels."""
    sizes = g.op("Shape", x)
    rows, columns = (g.op("Div", g.slice(sizes, axis, axis + 1, 0), g.const([factor])) for axis in (2, 3))
    apart = g.concat(g.const([0, channels]), rows, g.const([factor]), columns, g.const([factor]), axis=0)
    h = g.transpose(g.op("Reshape", x, apart), 0, 1, 3, 5, 2, 4)
    return g.op("Reshape", h, g.concat(g.const([0, channels * factor**2]), rows, columns, axis=0))


def _level(g: Graph, h: str, name: str, *, halve: bool) -> str:
    if halve:
        h = g.op("AveragePool", h, kernel_shape=(2, 2), strides=(2, 2), ceil_mode=1)
    h = g.conv(h, f"{name}.in_conv") if g.has(f"{name}.in_conv") else h
    for index in range(g.count(f"{name}.resnets")):
        block = f"{name}.resnets.{index}"
        h = g.add(g.conv(g.op("Relu", g.conv(h, f"{block}.block1")), f"{block}.block2"), h)
    return g.conv(h, f"{name}.out_conv") if g.has(f"{name}.out_conv") else h


def _width(g: Graph, level: int, *, light: bool) -> int:
    return g.shape(f"{_BODY}.{level}.{'out_conv' if light else 'resnets.0.block2'}")[0]
