#!/usr/bin/env bash
# ONNX Runtime's SessionOptions.add_initializer replaces a weight, or does nothing, and does not say which.
#
# A weight that goes straight into a MatMul is replaced. One that a constant operator reads first (the Transpose of a
# torch Linear, the Cast of a weight stored as float16) was folded into a new constant from the values in the file
# before the given ones are looked at: the session runs with the old weight. A name that no weight has is taken as well.
# No error, no warning at the default level of messages.
#
# Why it matters: it is the obvious way to merge a LoRA into a Stable Diffusion model without writing gigabytes. A
# package of float16 weights and float32 arithmetic has a Cast behind each of them, so the picture is then the one
# without the LoRA, whatever its scale. (add_external_initializers complains about unknown names.)
#
# Source: the C API reference of AddInitializer: where a model has an initializer of that name, the instance given is
# used instead of the one in the model file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
LEVEL = onnxruntime.GraphOptimizationLevel


def build(nodes, weight):
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    graph = helper.make_graph(nodes, "product", [inputs], [outputs], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


def run(model, name, weight, level=LEVEL.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    value = onnxruntime.OrtValue.ortvalue_from_numpy(weight)  # has to outlive the session
    options.add_initializer(name, value)
    return onnxruntime.InferenceSession(model, options).run(None, {"x": np.ones((1, 4), np.float32)})[0].tolist()[0]


one = np.eye(4, dtype=np.float32)
half = one.astype(np.float16)
plain = build([node("MatMul", ["x", "weight"], ["y"])], one)
turned = build([node("Transpose", ["weight"], ["w"], perm=[1, 0]), node("MatMul", ["x", "w"], ["y"])], one)
cast = build([node("Cast", ["weight"], ["w"], to=TensorProto.FLOAT), node("MatMul", ["x", "w"], ["y"])], half)

print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
print("expected: 7 in every line (the file's own weight gives 1), and an error for the name that is not there")
seen = {
    "MatMul alone": run(plain, "weight", 7 * one),
    "behind a Transpose": run(turned, "weight", 7 * one),
    "behind a Transpose, nothing optimised": run(turned, "weight", 7 * one, LEVEL.ORT_DISABLE_ALL),
    "behind a Cast from float16": run(cast, "weight", 7 * half),
    "a name that no weight has": run(plain, "wieght", 7 * one),
}
print("seen:")
for what, result in seen.items():
    print(f"  {what:38} {result}")
firsts = [result[0] for result in seen.values()]
sys.exit(0 if firsts == [7, 1, 7, 1, 1] else "the behaviour has changed")
EOF
