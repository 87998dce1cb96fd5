"""Simplify a traced ONNX graph without changing what it computes, in the operators that it has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from partway_export.onnx_file import large_weights, replace_initializers


def optimise(model: Any, *, shapes: bool = False) -> Any:
    """Return ``model`` folded and fused by onnxslim; operators of ONNX Runtime's own come out only where they went in.

    The weights wait outside meanwhile, as graph inputs: onnxslim copies the model many times, and protobuf
    cannot copy more than 2 GiB. ``shapes``: whether the shapes of all tensors are written down, for operators to come
    that ONNX does not know.
    """
    import onnx
    import onnxslim
    from onnx import helper

    weights = large_weights(model)
    replace_initializers(model, set(weights), [])
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in weights.values()
    )
    with _names_compared_first():
        model = onnxslim.slim(model)
    model = onnx.shape_inference.infer_shapes(model) if shapes else model
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(weights.values())
    return model


@contextmanager
def _names_compared_first() -> Iterator[None]:
    """Have onnxslim tell tensors apart by name before it compares their shapes, sources and uses.

    It looks each input up in a list of all tensors, and the weights are inputs: most of its time would go there.
    """
    from onnxslim.third_party.onnx_graphsurgeon.ir.tensor import Variable

    compare = Variable.__eq__

    def equal(one: Any, other: Any) -> bool:
        return one is other or (isinstance(other, Variable) and one.name == other.name and compare(one, other))

    with patch.object(Variable, "__eq__", equal):
        yield
