"""Networks that are built -> ONNX files, whose weights lie inside or in one file beside them.

Operators are standard ones, but for attention and products with 4 bits. Weights of matrix products are stored as
(in, out), the way round that MatMul takes them. The timestep is a single number, as in optimum's exports.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from partway.building.network import Network, Node, Value
from partway.building.onnx import MICROSOFT
from partway.checkpoints.values import read
from partway.engines.weights import Weight
from partway_export.storing import PRODUCT, Data, Form, Packed, Quantised, form, uses

LIMIT = 2**27
"""Bytes of weights that a file may hold itself: engines map those beside it, and read those in it twice over."""

_TIME, _ONE = "timestep", "timestep/shape"


class _Stored(NamedTuple):
    """The tensors that one weight is stored as, what makes float32 of them, and the product that takes them instead."""

    tensors: dict[str, Weight]
    makes: Node | None = None
    product: Node | None = None


def write_onnx(networks: Mapping[Path, Network], weights: str) -> None:
    """Write networks that share weights, all into one folder; the first has all of them."""
    (path, whole), *_ = networks.items()
    places = path.with_name(f"{path.name}_data")
    found = uses(whole)
    with Data(places) as data:
        stored = {
            name: _stored(name, form(read(weight), found[name], weights), found[name], data)
            for name, weight in whole.weights.items()
        }
    inside = len(networks) == 1 and places.stat().st_size < LIMIT
    for file, network in networks.items():
        made = _with_stored(network, stored)
        file.write_bytes(made.with_weights() if inside else made.with_files())
    if inside:
        places.unlink()


def single_timestep(unet: Network) -> Network:
    """The UNet with its timestep as a single number."""
    rows = f"{_TIME}/rows"
    shape = Node("Reshape", (_TIME, _ONE), (rows,), "", {}, rows)
    nodes = [one._replace(inputs=tuple(rows if name == _TIME else name for name in one.inputs)) for one in unet.nodes]
    inputs = {name: Value("F32", ()) if name == _TIME else value for name, value in unet.inputs.items()}
    seams = [seam._replace(place=seam.place + 1) for seam in unet.seams]
    constants = {**unet.constants, _ONE: np.array([1])}
    return replace(unet, nodes=[shape, *nodes], inputs=inputs, seams=seams, constants=constants)


def _stored(name: str, values: Form, use: str, data: Data) -> _Stored:
    if isinstance(values, Packed):
        tensors = {f"{name}.int4": data.put(values.values), f"{name}.scale": data.put(values.scale.reshape(-1))}
        outs, ins = values.shape
        sizes = {"K": ins, "N": outs, "bits": 4, "block_size": values.size}
        return _Stored(tensors, product=Node("MatMulNBits", ("", *tensors), (), MICROSOFT, sizes))
    if isinstance(values, Quantised):
        turned = values.values.T if use == PRODUCT else values.values
        tensors = {f"{name}.int8": data.put(turned), f"{name}.scale": data.put(values.scale)}
        axis = 1 if use == PRODUCT else 0
        return _Stored(tensors, Node("DequantizeLinear", tuple(tensors), (name,), "", {"axis": axis}))
    return _Stored({name: data.put(values.T if use == PRODUCT else values)})


def _with_stored(network: Network, stored: Mapping[str, _Stored]) -> Network:
    mine = {name: stored[name] for name in network.weights}
    makes = [one.makes for one in mine.values() if one.makes]
    weights = {name: place for one in mine.values() for name, place in one.tensors.items()}
    return replace(network, nodes=[*makes, *(_rewritten(node, mine) for node in network.nodes)], weights=weights)


def _rewritten(node: Node, stored: Mapping[str, _Stored]) -> Node:
    """A node as it takes its stored weight: a product with the weight turned round, or packed."""
    if node.kind != "FusedMatMul" or (weight := node.inputs[1]) not in stored:
        return node
    product = stored[weight].product or Node("MatMul", ("", weight), (), "", {})
    return product._replace(inputs=(node.inputs[0], *product.inputs[1:]), outputs=node.outputs, name=node.name)
