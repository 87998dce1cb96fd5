#!/usr/bin/env bash
# NNCF's 4-bit weights for an ONNX Gemm whose weight is transposed are a model that cannot be run.
#
# compress_weights groups the inputs of each output and stores a scale for each group. For Gemm with transB=1 the weight
# is (outputs, inputs) and the scales (outputs, groups), which is right; but the DequantizeLinear in front says axis=0,
# which is where the groups would be without transB. Neither NNCF nor onnx's full check objects; ONNX Runtime fails when
# it runs the model. In 8 bits the same layer is right, and so is 4 bits for MatMul.
#
# Why it matters: torch exports a Linear to Gemm with transB=1 where its input has two axes. In Stable Diffusion's UNet
# those are the layers that a timestep goes through, in the time embedding and in each residual block.
#
# Source: the ONNX operator reference, DequantizeLinear version 21: in blocked quantisation the scale's shape is the
# input's with the axis divided by block_size; openvino pull request 37900, which is about reading such files.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    nncf==3.4.0 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 protobuf==7.36.2
NNCF_CI=1 "$folder/venv/bin/python" - <<'EOF'
import logging
import sys

import nncf
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROWS, INPUTS, OUTPUTS, GROUP = 3, 64, 128, 32
numbers = np.random.default_rng(0)
weight = numbers.standard_normal((OUTPUTS, INPUTS)).astype(np.float32)
x = numbers.standard_normal((ROWS, INPUTS)).astype(np.float32)
exact = x @ weight.T


def build(operator, values, **attributes):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, exact.shape)
    node = helper.make_node(operator, ["x", "weight"], ["y"], **attributes)
    graph = helper.make_graph([node], "linear", [given], [result], [numpy_helper.from_array(values, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def seen(model, **how):
    model = nncf.compress_weights(model, **how)
    onnx.checker.check_model(model, full_check=True)
    node = next(node for node in model.graph.node if node.op_type == "DequantizeLinear")
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    print("  ", {a.name: a.i for a in node.attribute}, [shapes[name] for name in node.input if name in shapes])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        y = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]
    except Exception as error:
        print("   ", str(error).splitlines()[0][:108])
        return False
    print(f"    runs, off by {abs(y - exact).max() / abs(exact).max():.3f} of the greatest output")
    return True


nncf.set_log_level(logging.ERROR)
four = {"mode": nncf.CompressWeightsMode.INT4_SYM, "group_size": GROUP, "ratio": 1.0, "all_layers": True}
eight = {"mode": nncf.CompressWeightsMode.INT8_SYM}
print(f"nncf {nncf.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
print("expected: the compressed model runs, a little off; seen:")
ran = []
print("  MatMul, 4 bits:")
ran.append(seen(build("MatMul", weight.T.copy()), **four))
print("  Gemm with transB=1, 8 bits:")
ran.append(seen(build("Gemm", weight, transB=1), **eight))
print("  Gemm with transB=1, 4 bits:")
ran.append(seen(build("Gemm", weight, transB=1), **four))
sys.exit(0 if ran == [True, True, False] else "the behaviour has changed")
EOF
