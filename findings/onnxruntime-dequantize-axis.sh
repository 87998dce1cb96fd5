#!/usr/bin/env bash
# axis=1 and axis=-1 name the same axis of a matrix, and ONNX Runtime computes different things for them.
#
# An int8 weight with a scale for each column, DequantizeLinear and MatMul: the scales lie along the last axis. With
# axis=1 ONNX Runtime fuses both nodes into its MatMulNBits with accuracy level 4, which rounds what the weight is
# multiplied with to 8 bits as well. With axis=-1 nothing is fused, and the product is computed in float32.
#
# Why it matters: weight-only int8 is the common way to store a Stable Diffusion UNet in ONNX. What was exported as
# "int8 weights, float32 arithmetic" rounds its activations or does not, depending on how an exporter writes an axis;
# how much, and how fast, depends on the processor. Two tools that run one file can differ in just that.
#
# Source: the ONNX operator reference, DequantizeLinear: a negative axis counts from the back; onnxruntime's session
# configuration key session.qdq_matmulnbits_accuracy_level, whose default is 4; onnxruntime issue 29849 on what level
# 4 costs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

INPUTS, OUTPUTS = 64, 32
numbers = np.random.default_rng(0)
weight = numbers.integers(-127, 128, (INPUTS, OUTPUTS)).astype(np.int8)
scale = numbers.uniform(0.001, 0.01, OUTPUTS).astype(np.float32)
x = numbers.standard_normal((3, INPUTS)).astype(np.float32)
exact = x.astype(np.float64) @ (weight * scale.astype(np.float64))


def run(axis):
    nodes = [
        helper.make_node("DequantizeLinear", ["weight", "scale"], ["w"], axis=axis),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", INPUTS])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", OUTPUTS])
    tensors = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(scale, "scale")]
    graph = helper.make_graph(nodes, "product", [given], [result], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that the graph written below is this machine's
    options.optimized_model_filepath = "optimised.onnx"
    y = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]
    kept = onnx.load("optimised.onnx").graph.node
    levels = [a.i for node in kept for a in node.attribute if a.name == "accuracy_level"]
    return [node.op_type for node in kept], levels, float(abs(y - exact).max() / abs(exact).max())


print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
print("expected: one axis, two names: the same operators, the same product")
print("seen: axis, operators after optimising, their accuracy_level, greatest error relative to the greatest output")
last, back = run(1), run(-1)
print("   1", *last)
print("  -1", *back)
recorded = last[:2] == (["MatMulNBits"], [4]) and back[:2] == (["DequantizeLinear", "MatMul"], []) and back[2] < 1e-5
sys.exit(0 if recorded else "the behaviour has changed")
EOF
