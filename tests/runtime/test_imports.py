"""What importing costs and what it may touch: the walls between the packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import partway

ROOT = Path(partway.__file__).parent
HEAVY = ["torch", "diffusers", "transformers", "optimum", "partway_export", "onnxruntime", "openvino", "onnx"]
LATE = ["tokenizers", "huggingface_hub", "tqdm", "argparse"]
NUMERIC = [
    "levels",
    "schedules",
    "predictions",
    "samplers",
    "dials",
    "sampling",
    "noise",
    "brownian",
    "guidance",
    "colours",
]


def test_import_loads_numpy_and_pillow_and_no_engine():
    code = "import sys, partway; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "PIL", "partway"} <= set(loaded)
    assert not set(HEAVY + LATE) & set(loaded)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_runtime_never_imports_the_torch_side(path):
    """Also inside functions, where ruff's rule and an import at start-up do not look."""
    assert not {"torch", "diffusers", "transformers", "optimum", "partway_export"} & imported(path)


@pytest.mark.parametrize("name", NUMERIC)
def test_the_numbers_need_numpy_and_the_standard_library_only(name):
    files = [ROOT / f"{name}.py"] if (ROOT / f"{name}.py").exists() else sorted((ROOT / name).glob("*.py"))
    assert files
    for file in files:
        outside = {top for top in imported(file) if top not in sys.stdlib_module_names}
        assert outside <= {"numpy", "partway"}
        inside = {
            node.module
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module.startswith("partway.")
        }
        assert {module.split(".")[1] for module in inside} <= {"errors", *NUMERIC}


def imported(path):
    """Top-level names of everything a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


def test_public_names_exist_and_are_all_listed():
    assert sorted(partway.__all__) == sorted(set(partway.__all__))
    assert all(hasattr(partway, name) for name in partway.__all__)
    assert set(partway.Options.__annotations__) == set(partway.Settings.__dataclass_fields__)
