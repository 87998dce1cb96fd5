"""One network of a package taken over by another."""

import json
import shutil
from pathlib import Path

import pytest

from command import Captured, run
from models.rooms.graft import graft
from partway_rooms import FOLDER

FEW_STEPS = FOLDER.parent / "few_steps"


def files(package: Path) -> dict[str, bytes]:
    return {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*") if path.is_file()}


def test_the_network_its_goldens_and_checksums_come_over_and_nothing_else(tmp_path: Path, capsys: Captured) -> None:
    package = tmp_path / "package"
    shutil.copytree(FOLDER, package)
    before = files(package)
    taken = graft(package, FEW_STEPS, "unet")
    assert "unet/model.onnx" in taken and "goldens/unet.npz" in taken
    after = files(package)
    for name, data in after.items():
        source = (FEW_STEPS / name).read_bytes() if name in taken else before[name]
        assert name == "partway.json" or data == source, name
    gone = {"unet/model.onnx_data", "unet/shallow.onnx", "goldens/unet_shallow.npz"}  # few steps have no such
    assert before.keys() - after.keys() == gone
    code, out, _ = run(capsys, "doctor", package)
    assert code == 0 and "FAIL" not in out and out.count("unet") >= 2


def test_packages_of_different_kinds_are_left_alone(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(FOLDER, package)
    manifest = json.loads((package / "partway.json").read_text())
    (package / "partway.json").write_text(json.dumps(manifest | {"weights": "fp16"}))
    before = files(package)
    with pytest.raises(SystemExit, match="fp16"):
        graft(package, FEW_STEPS, "unet")
    assert files(package) == before
