"""An engine in one file, as someone might add it: networks run in NumPy, by ONNX's own reference implementation."""

from importlib.util import find_spec

import numpy as np

from partway.engines import EngineOptions, Port, Signature, as_float32, cast
from partway.errors import EngineError

TYPES = {1: "float32", 7: "int64"}  # of ONNX


class Abacus:
    def __init__(self, files, options: EngineOptions):
        if options.device.upper() != "CPU":
            raise EngineError(f"abacus has no device {options.device!r} here; it has: CPU")
        self.files, self.batch, self.loaded = files, options.batch, {}

    @staticmethod
    def devices():
        return [("CPU", "NumPy")] if find_spec("onnx") else []

    @staticmethod
    def variants(device):
        return [{}, {"batch": 1}]

    def _load(self, network):
        from onnx.reference import ReferenceEvaluator

        if network not in self.loaded:
            self.loaded[network] = ReferenceEvaluator(str(self.files[network]))
        return self.loaded[network]

    def signature(self, network):
        graph = self._load(network).proto_.graph
        return Signature(
            *({value.name: port(value.type.tensor_type) for value in side} for side in (graph.input, graph.output))
        )

    def run(self, network, inputs):
        model = self._load(network)
        outputs = model.run(None, cast(network, inputs, self.signature(network)))
        return as_float32((name, np.asarray(array)) for name, array in zip(model.output_names, outputs, strict=True))

    def release(self, network):
        self.loaded.pop(network, None)


def port(tensor):
    return Port(TYPES[tensor.elem_type], tuple(size.dim_value or None for size in tensor.shape.dim))
