"""What importing costs and what it may touch: the walls between the packages."""

import subprocess
import sys
from pathlib import Path

import pytest

import partway

ROOT = Path(partway.__file__).parent
HEAVY = ["torch", "diffusers", "transformers", "optimum", "partway_export", "onnxruntime", "openvino", "onnx"]
LATE = ["tokenizers", "huggingface_hub", "tqdm", "argparse", "waitress", "multipart"]


def test_import_loads_numpy_and_pillow_and_no_engine():
    code = "import sys, partway; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "PIL", "partway"} <= set(loaded)
    assert not set(HEAVY + LATE) & set(loaded)


def test_import_loads_no_server_and_no_command():
    code = "import sys, partway; print(*(name for name in sys.modules if name.startswith('partway.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("partway.serve", "partway.cli"))]
    assert not {"partway.pipeline", "partway.loading", "partway.budget"} & set(loaded)  # they come with the first model


def test_the_mathematics_imports_with_numpy_alone():
    """The wing by itself, without what `partway` imports beside it."""
    code = f"""
import importlib, pkgutil, sys, types
before = set(sys.modules)
root = sys.modules["partway"] = types.ModuleType("partway")
root.__path__ = [{str(ROOT)!r}]
wing = importlib.import_module("partway.diffusion")
for found in pkgutil.walk_packages(wing.__path__, "partway.diffusion."):
    importlib.import_module(found.name)
print(*{{name.split(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names))
print(*(name for name in sys.modules if name.startswith("partway.")))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    outside, inside = (set(line.split()) for line in said.splitlines())
    assert outside == {"numpy", "partway"}
    assert "partway.diffusion.samplers.multistep" in inside
    assert all(name.startswith(("partway.diffusion", "partway.errors", "partway.graphs")) for name in inside)


def test_public_names_exist_and_are_all_listed():
    assert sorted(partway.__all__) == sorted(set(partway.__all__))
    assert all(hasattr(partway, name) for name in partway.__all__)
    assert set(partway.__all__) <= set(dir(partway))
    unknown = "Pipelines"
    with pytest.raises(AttributeError, match="module 'partway' has no attribute 'Pipelines'"):
        getattr(partway, unknown)
    assert set(partway.Options.__annotations__) == set(partway.Settings.__dataclass_fields__)
