#!/usr/bin/env bash
# safetensors 0.8 writes a transposed NumPy array in the wrong order, and says nothing.
#
# save_file takes any array. Of one that does not lie in C order in memory (matrix.T, and what Fortran-minded libraries
# return) it stores the shape as it is and the bytes as they lie: reading gives the same numbers in other places. 0.7
# stored it right. For torch tensors the same library refuses what is not contiguous.
#
# Why it matters: ONNX's MatMul wants (inputs, outputs), checkpoints and LoRA files hold (outputs, inputs), so a tool
# that goes from one to the other without torch transposes nearly every matrix. The shapes are right and the model runs;
# its weights are shuffled.
#
# Source: safetensors issue 825 and its open pull requests 826 and 829.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
cd "$folder"
cat > program.py <<'EOF'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
given = {"transposed": matrix.T, "transposed, copied": np.ascontiguousarray(matrix.T)}
save_file(given, "weights.safetensors")
read = load_file("weights.safetensors")
print(f"safetensors {safetensors.__version__}, numpy {np.__version__}")
for name in given:
    print(f"  {name:20} given {given[name].tolist()}")
    print(f"  {'':20} read  {read[name].tolist()}")
equal = [bool((given[name] == read[name]).all()) for name in given]
sys.exit(0 if equal == [sys.argv[1] == "right", True] else "the behaviour has changed")
EOF
echo "expected: what is read is what was given"
echo "seen: with 0.8.0 the transposed array's numbers are in other places; with 0.7.0 they were not"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.7.0 numpy==2.4.6
"$folder/venv/bin/python" program.py right
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0
"$folder/venv/bin/python" program.py wrong
