"""Sines and cosines of what a network is told, computed beside it in float32.

A UNet knows the noise level by sines and cosines of the timestep, 0 .. 999, times frequencies (the sinusoidal embedding
of Vaswani et al. 2017, arXiv 1706.03762). Of a network that computes in 16 bits, OpenVINO rounds these products to 16
bits too: in bfloat16 to multiples of 4, whose sines are those of another noise level.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEARNED = ("MatMul", "Convolution")


class Waves:
    """The model of sines and cosines that was taken out of another one, ``of``."""

    def __init__(self, core: Any, model: Any, of: Any) -> None:
        only = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        self._request = core.compile_model(model, "CPU", only).create_infer_request()
        self._reads, self._gives = _inputs(model), _inputs(of)

    def beside(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What the other model takes, waves included, of the inputs that it was made to take."""
        made = self._request.infer({name: inputs[name] for name in self._reads})
        given = {**inputs, **{_name(index): array for index, array in enumerate(made.values())}}
        return {name: given[name] for name in self._gives}


def take_out(model: Any) -> tuple[Any, Any]:
    """An OpenVINO model as one that is given the sines and cosines of its inputs, and the model that makes these.

    (``model``, None) where it has none, or only of what its layers have made.
    """
    from openvino import Model, opset13

    found = [node for node in model.get_ordered_ops() if node.get_type_name() in ("Sin", "Cos") and _told(node)]
    if not found:
        return model, None
    ends = [opset13.result(node.output(0)) for node in found]
    waves = Model(ends, _parameters(_above(found, sizes=True))).clone()
    for index, node in enumerate(found):
        wave = opset13.parameter(node.output(0).get_partial_shape(), np.float32)
        node.output(0).replace(wave.output(0))
        wave.output(0).set_names({_name(index)})  # after it took those of the other
    results = model.get_results()
    return Model(results, _parameters(_above(results, sizes=True))), waves


def _told(node: Any) -> bool:
    """Whether the node depends on a few numbers a picture and, but for sizes, on no picture or text."""
    given = _parameters(_above([node], sizes=False))
    numbers = all(len(one.output(0).get_partial_shape()) <= 2 for one in given)
    learned = any(one.get_type_name() in _LEARNED for one in _above([node], sizes=True))
    return bool(given) and numbers and not learned


def _above(nodes: Iterable[Any], *, sizes: bool) -> list[Any]:
    """The nodes and all that they depend on; without ``sizes``, but for what only its size is asked of."""
    seen: dict[str, Any] = {}
    left = list(nodes)
    while left:
        node = left.pop()
        if node.get_name() not in seen:
            seen[node.get_name()] = node
            if sizes or node.get_type_name() != "ShapeOf":
                left += [value.get_node() for value in node.input_values()]
    return list(seen.values())


def _parameters(nodes: Iterable[Any]) -> list[Any]:
    return [node for node in nodes if node.get_type_name() == "Parameter"]


def _inputs(model: Any) -> list[str]:
    return [port.get_any_name() for port in model.inputs]


def _name(index: int) -> str:
    return f"wave.{index}"
