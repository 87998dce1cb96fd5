"""One package without the networks that another one beside it has."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import partway
import partway_rooms
import toy
from command import Captured, run
from models.rooms.share import share
from partway.model.catalog import entries
from partway.model.package import open_package
from partway.pictures.metadata import file_hash

SHARED = ["text_encoder", "vae_encoder", "vae_decoder"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two packages with checksums that differ in their UNet."""
    folders = toy.build(tmp_path / "whole"), toy.build(tmp_path / "part", timestep="int64")
    for folder in folders:
        files = {
            str(path.relative_to(folder)): {"sha256": file_hash(path), "bytes": path.stat().st_size}
            for path in folder.rglob("*")
            if path.is_file()
        }
        (folder / "partway.json").write_text(json.dumps({"files": files}))
    return folders


def test_it_stays_a_package_and_makes_the_same_picture(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    whole, part = pair
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    before = partway.load(part)
    made = before.img2img(picture, "a cat", strength=0.7, steps=3).image
    assert share(part, whole) == SHARED
    assert sorted(path.parent.name for path in part.rglob("*.onnx")) == ["unet"]
    assert (part / "vae_decoder/config.json").is_file()
    after = partway.load(part)
    assert after.img2img(picture, "a cat", strength=0.7, steps=3).image.tobytes() == made.tobytes()
    assert after.package.manifest["files"] == before.package.manifest["files"]
    code, out, _ = run(capsys, "info", part)
    assert code == 0 and str(Path("../whole/vae_decoder/model.onnx")) in out
    monkeypatch.chdir(part)  # a folder has a name and neighbours even where it is called "."
    code, out, _ = run(capsys, "doctor", ".")
    assert code == 0 and "FAIL" not in out and out.count("vae_decoder/model.onnx") == 1


def test_what_is_shared_is_missed_by_name(pair: tuple[Path, Path], capsys: Captured) -> None:
    whole, part = pair
    share(part, whole)
    (whole / "vae_encoder/model.onnx").write_bytes(b"changed")
    code, out, _ = run(capsys, "doctor", part)
    assert code == 1 and "FAIL  vae_encoder/model.onnx" in out
    shutil.rmtree(whole)
    with pytest.raises(partway.PackageError, match=r"whole.text_encoder.model\.onnx is missing"):
        open_package(part)


@pytest.mark.parametrize("name", ["", ".", "..", "../whole", "/", 3, ["whole"]])
def test_only_a_neighbour_is_shared_with(pair: tuple[Path, Path], name: object) -> None:
    manifest = pair[1] / "partway.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"shares": name}))
    with pytest.raises(partway.PackageError, match="not the name of a folder beside it"):
        open_package(pair[1])


def test_only_neighbours_are_made_to_share(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(pair[1], tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="one folder"):
        share(Path(moved), pair[0])


def test_nothing_is_shipped_twice_among_the_networks_of_the_built_in_models() -> None:
    folders = [partway_rooms.PACKAGES / entry.built_in for entry in entries().values() if entry.built_in]
    graphs = [path for folder in folders for path in folder.rglob("*.onnx*")]
    assert len({file_hash(path) for path in graphs}) == len(graphs) > 4
