#!/usr/bin/env bash
# ONNX Runtime's GroupNormalization loses digits that InstanceNormalization keeps.
#
# The formula is the same: subtract the mean, divide by the deviation. ONNX Runtime's CPU provider has no kernel for
# GroupNormalization and runs the function body that the ONNX standard gives for it, and that body takes the variance
# as mean(x^2) - mean(x)^2: the digits that both have in common cancel. InstanceNormalization over the same groups has
# a kernel, which keeps them. The standard's own reference evaluator runs the same body, so comparing a model with it
# does not show the loss.
#
# Why it matters: Stable Diffusion's UNet normalises by groups 61 times, its VAE's decoder 30 times. torch exports them
# as InstanceNormalization or, from opset 21 on and through torch.export, as the newer operator: a newer export of the
# same weights can be the worse one.
#
# Source: the ONNX operator reference, GroupNormalization version 21, whose function body onnx.defs holds; onnxruntime
# issue 24538, which asks for an implementation.
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
from onnx.reference import ReferenceEvaluator

CHANNELS, GROUPS, SIDE, EPSILON = 64, 16, 32, 1e-5
SHAPE = [1, CHANNELS, SIDE, SIDE]


def build(nodes, **constants):
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    tensors = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "normalise", [inputs], [outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def ones_zeros(count):
    return {"scale": np.ones(count, np.float32), "bias": np.zeros(count, np.float32)}


def run(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


node = helper.make_node
group = [node("GroupNormalization", ["x", "scale", "bias"], ["y"], num_groups=GROUPS, epsilon=EPSILON)]
instance = [
    node("Reshape", ["x", "grouped"], ["g"]),
    node("InstanceNormalization", ["g", "scale", "bias"], ["n"], epsilon=EPSILON),
    node("Reshape", ["n", "whole"], ["y"]),
]
by_group = build(group, **ones_zeros(CHANNELS))
by_instance = build(instance, **ones_zeros(GROUPS), grouped=[1, GROUPS, -1], whole=SHAPE)

print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
print("expected: both graphs compute the same function, so both are equally near to the exact result")
print("greatest difference from float64, for groups of deviation 1 around a mean:")
print("  mean   GroupNormalization   InstanceNormalization   onnx.reference, GroupNormalization")
errors = {}
for mean in (0, 10, 100, 1000):
    x = (np.random.default_rng(0).standard_normal(SHAPE) + mean).astype(np.float32)
    groups = x.astype(np.float64).reshape(1, GROUPS, -1)
    centred = groups - groups.mean(-1, keepdims=True)
    exact = (centred / np.sqrt(groups.var(-1, keepdims=True) + EPSILON)).reshape(SHAPE)
    results = run(by_group, x), run(by_instance, x), ReferenceEvaluator(by_group).run(None, {"x": x})[0]
    errors[mean] = [float(abs(result - exact).max()) for result in results]
    print("  {:4}   {:18.1e}   {:21.1e}   {:.1e}".format(mean, *errors[mean]))
ratio = errors[100][0] / errors[100][1]
print(f"seen: around a mean of 100 GroupNormalization's error is {ratio:.0f} times InstanceNormalization's")
sys.exit(0 if ratio > 30 else "the behaviour has changed")
EOF
