"""The toy model's networks in NumPy, as an engine: its calls take microseconds, and it counts them."""

import os
from collections import Counter
from functools import lru_cache

import numpy as np
import onnx
from onnx import numpy_helper

from partway.engines import EngineOptions, Port, Signature, cast
from partway.engines.table import Row
from partway.errors import NetworkError

NAME = "numpy"
ROW = Row("campaign.numpy_engine.Numpy", library="numpy", distribution="numpy", formats=("onnx",))
TYPES = {1: "float32", 7: "int64"}  # of ONNX


class Numpy:
    """Runs networks of the few operators that `toy` writes.

    calls, rows: how often each network ran, and on how large batches in all
    """

    def __init__(self, files, options: EngineOptions):
        self.files, self.batch = files, options.batch
        self.calls, self.rows = Counter(), Counter()

    @staticmethod
    def devices():
        return [("CPU", "NumPy")]

    @staticmethod
    def variants(device):
        return [{}]

    def signature(self, network):
        return self._read(network)[1]

    def run(self, network, inputs):
        graph, signature, constants = self._read(network)
        values = constants | cast(network, inputs, signature)
        self.calls[network] += 1
        self.rows[network] += max(map(len, inputs.values()))
        try:
            for node in graph.node:
                values[node.output[0]] = OPERATORS[node.op_type](node, *(values[name] for name in node.input))
        except (IndexError, ValueError, KeyError) as error:  # as what an engine's library refuses
            raise NetworkError(f"{network} failed in numpy: {error}") from error
        return {output.name: values[output.name] for output in graph.output}

    def release(self, network):
        pass

    def _read(self, network):
        path = self.files[network]
        return read(str(path), os.stat(path).st_mtime_ns)


@lru_cache(256)
def read(path, changed):
    """The graph in a file, what it takes and gives, and its constants."""
    graph = onnx.load(path).graph
    sides = ({one.name: port(one.type.tensor_type) for one in side} for side in (graph.input, graph.output))
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    return graph, Signature(*sides), constants


def port(tensor):
    return Port(TYPES[tensor.elem_type], tuple(size.dim_value or None for size in tensor.shape.dim))


def conv(node, x, kernel, bias=None):
    height, width = kernel.shape[2:]
    if height == 8:  # with a stride of its size
        b, c, h, w = x.shape
        blocks = x.reshape(b, c, h // 8, 8, w // 8, 8)
        made = np.einsum("bchiwj,ocij->bohw", blocks, kernel, optimize=True)
    else:
        h, w = x.shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        shifts = [padded[:, :, i : i + h, j : j + w] for i in range(height) for j in range(width)]
        flat = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
        made = np.einsum("ok,bkhw->bohw", flat, np.concatenate(shifts, axis=1), optimize=True)
    return made if bias is None else made + bias[:, None, None]


def conv_transpose(node, x, kernel):
    b, _, h, w = x.shape
    blocks = np.einsum("bchw,coij->bohiwj", x, kernel, optimize=True)
    return blocks.reshape(b, kernel.shape[1], 8 * h, 8 * w)


OPERATORS = {
    "Cast": lambda node, x: x.astype(np.float32),
    "Identity": lambda node, x: x,
    "Mul": lambda node, x, y: x * y,
    "Add": lambda node, x, y: x + y,
    "Sub": lambda node, x, y: x - y,
    "Exp": lambda node, x: np.exp(x),
    "Tanh": lambda node, x: np.tanh(x),
    "MatMul": lambda node, x, y: x @ y,
    "Slice": lambda node, x, first, last, axis: x[:, first[0] : last[0]],
    "ReduceMean": lambda node, x, axis: x.mean(axis=int(axis[0])),
    "Reshape": lambda node, x, shape: x.reshape(shape),
    "Gather": lambda node, table, places: table[places],
    "Clip": lambda node, x, low, high: np.clip(x, low, high),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
}
