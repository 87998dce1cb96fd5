"""What a source distribution holds, and the wheel that is built from it."""

import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

import partway

ROOT = Path(__file__).parents[2]
PACKAGES = ("runtime/partway", "export/partway_export", "models/partway_rooms")


def files(folder: str) -> set[str]:
    """Every file below a folder of the repository, but for what Python and tools leave there."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def build(kind: str, folder: Path, out: Path) -> Path:
    """Build a folder's "sdist" or "wheel"."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)], cwd=folder, check=True)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with tarfile.open(build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))) as archive:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 has it first
        archive.extractall(folder := tmp_path_factory.mktemp("unpacked"), **safe)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return ZipFile(build("wheel", unpacked, tmp_path_factory.mktemp("wheel")))


def test_the_sdist_has_the_sources_and_nothing_of_the_tests(unpacked: Path) -> None:
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    above = {name for name in found if "/" not in name}
    assert found - above == files("runtime") | files("export") | files("models/partway_rooms")
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "PKG-INFO"} <= above
    assert above <= {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "constraints.txt",
        "PKG-INFO",
        "CHANGELOG.md",
        ".gitignore",
    }


def test_a_wheel_from_the_sdist_has_every_file_of_the_packages(wheel: ZipFile) -> None:
    wanted = {name.partition("/")[2] for package in PACKAGES for name in files(package)}
    about = f"partway-{partway.__version__}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(about)} == wanted
    assert {f"{package.partition('/')[2]}/py.typed" for package in PACKAGES} <= wanted
    assert "partway_rooms/README.md" in wanted and f"{about}licenses/LICENSE" in wheel.namelist()


def test_the_wheel_says_what_it_is(wheel: ZipFile) -> None:
    said = message_from_bytes(wheel.read(f"partway-{partway.__version__}.dist-info/METADATA"))
    assert said["Version"] == partway.__version__ and said["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in said.get_all("Classifier", [])
