"""Sines and cosines of a network's numeric inputs, computed beside it in float32.

A UNet takes the noise level as sines and cosines of the timestep, 0 .. 999, times frequencies (the sinusoidal embedding
of Vaswani et al. 2017, arXiv 1706.03762). In a network that computes in 16 bits, OpenVINO rounds these products to 16
bits too: in bfloat16 to multiples of 4, whose sines are those of another noise level.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines.rewrites.graph import marked, parameters

_LEARNED = ("MatMul", "Convolution")


class Waves:
    """The ``model`` of sines and cosines that was taken out of another one, ``rest``."""

    def __init__(self, core: Any, model: Any, rest: Any) -> None:
        only = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        self._request = core.compile_model(model, "CPU", only).create_infer_request()
        self._reads, self._gives = _inputs(model), _inputs(rest)

    def beside(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The inputs of the other model, waves included, from those of the network before it was rewritten."""
        made = self._request.infer({name: inputs[name] for name in self._reads})
        known = {**inputs, **{_name(index): array for index, array in enumerate(made.values())}}
        return {name: known[name] for name in self._gives}


class _Source(NamedTuple):
    """What a node is made of: numeric inputs, other inputs, layers with weights. The size of an input is no input."""

    numbers: bool
    others: bool
    learned: bool


def take_out(model: Any) -> tuple[Any, Any]:
    """An OpenVINO model as one that takes the sines and cosines of its numeric inputs, and the model that makes these.

    (``model``, None) where it has none. Those of values that layers with weights have made stay.
    """
    from openvino import Model, opset13

    found = [
        node
        for node, source in marked(model, _source)
        if node.get_type_name() in ("Sin", "Cos") and source == _Source(numbers=True, others=False, learned=False)
    ]
    if not found:
        return model, None
    waves = Model([opset13.result(node.output(0)) for node in found], parameters(found)).clone()
    for index, node in enumerate(found):
        wave = opset13.parameter(node.output(0).get_partial_shape(), np.float32)
        node.output(0).replace(wave.output(0))
        wave.output(0).set_names({_name(index)})  # after it took those of the other
    results = model.get_results()
    return Model(results, parameters(results)), waves


def _source(node: Any, before: Sequence[_Source]) -> _Source:
    kind = node.get_type_name()
    if kind == "Parameter":
        numbers = len(node.output(0).get_partial_shape()) <= 2  # a few for each picture
        return _Source(numbers, not numbers, learned=False)
    learned = kind in _LEARNED or any(one.learned for one in before)
    if kind == "ShapeOf":
        return _Source(numbers=False, others=False, learned=learned)
    return _Source(any(one.numbers for one in before), any(one.others for one in before), learned)


def _inputs(model: Any) -> list[str]:
    return [port.get_any_name() for port in model.inputs]


def _name(index: int) -> str:
    return f"wave.{index}"
