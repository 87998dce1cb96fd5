"""A UNet cut into segments that run one after the other, each with its own weights: for machines that cannot hold it.

A segment is an ONNX graph beside the full one, and reads the same file of weights. What crosses a cut (features of the
layers down and up, conditioning) is an output of one segment and, by the same name, an input of a later one.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from partway.errors import PackageError
from partway.graphs import SEGMENT
from partway.support.reach import reach
from partway_export.onnx_file import read, write

WINDOW = 0.15
"""How far from its place, as a share of a segment's weights, a cut may lie to have fewer numbers cross it."""


def cut(path: Path, count: int) -> list[Path]:
    """Write ``count`` segments of the ONNX graph at ``path`` beside it, and return their paths, first one first.

    Its weights move to a file of their own, which all read. Raises PackageError where it cannot be cut so often.
    """
    import onnx

    write(read(path), path, apart=True)
    model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False))
    graph = model.graph
    fixed = _fixed(graph)
    nodes = [node for node in graph.node if not fixed.issuperset(node.output)]
    places = _places(nodes, graph, fixed, count)
    if len(set(places)) != count - 1:
        raise PackageError(f"the UNet is too small to be cut into {count} segments; ask for fewer")
    bounds = [0, *places, len(nodes)]
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    paths = []
    for index, (start, end) in enumerate(pairwise(bounds)):
        inside = {name for node in nodes[start:end] for name in node.output}
        before = {*inputs, *(name for node in nodes[:start] for name in node.output)}
        after = {*outputs, *(name for node in nodes[end:] for name in node.input)}
        used = {name for node in nodes[start:end] for name in node.input}
        paths.append(path.with_name(SEGMENT.format(index)))
        onnx.save(_part(model, nodes[start:end], fixed, sorted(used & before), sorted(inside & after)), paths[-1])
    return paths


def _fixed(graph: Any) -> set[str]:
    """Names of everything that depends on no input: weights, and what is made of them alone."""
    known = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if known.issuperset(node.input):
            known.update(node.output)
    return known


def _places(nodes: Sequence[Any], graph: Any, fixed: set[str], count: int) -> list[int]:
    """Before which of the nodes to cut: where weights are shared out evenly, and little crosses."""
    sizes = {tensor.name: int(np.prod(tensor.dims, dtype=np.int64)) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}

    def weight(name: str) -> int:
        return sizes.get(name, 0) or sum(weight(below) for below in makers[name].input if below in sizes)

    seen = {""}  # the name of an input that is left out
    total, sums = 0, []
    for node in nodes:
        new = {name for name in node.input if name in fixed} - seen
        seen |= new
        sums.append(total)
        total += sum(map(weight, new))
    crossing = _crossing(nodes)
    places = []
    for index in range(1, count):
        middle = total * index / count
        near = [place for place, so_far in enumerate(sums) if abs(so_far - middle) <= WINDOW * total / count]
        near = near or [int(np.argmin(np.abs(np.array(sums) - middle)))]
        places.append(min(near, key=lambda place: (crossing[place], abs(sums[place] - middle))))
    return places


def _crossing(nodes: Sequence[Any]) -> list[int]:
    """How many tensors are made before each node and used from it on."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        last |= dict.fromkeys(node.input, index)
    change = np.zeros(len(nodes) + 1, np.int64)
    for index, node in enumerate(nodes):
        for name in node.output:
            if last.get(name, 0) > index:
                change[index + 1] += 1
                change[last[name] + 1] -= 1
    return np.cumsum(change)[:-1].tolist()


def _part(model: Any, nodes: Sequence[Any], fixed: set[str], inputs: Iterable[str], outputs: Iterable[str]) -> Any:
    """A model of some of the nodes, with the weights that they need, and the nodes whose inputs are only weights."""
    import onnx

    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output if name in fixed}
    read = [name for node in nodes for name in node.input if name in fixed]
    needed = set(reach(read, lambda name: makers[name].input if name in makers else ()))
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    part = onnx.ModelProto()
    part.ir_version, part.graph.name = model.ir_version, graph.name
    part.opset_import.extend(model.opset_import)
    part.graph.node.extend(node for node in graph.node if needed.intersection(node.output))
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in needed)
    part.graph.input.extend(values[name] for name in inputs)
    part.graph.output.extend(values[name] for name in outputs)
    return part
