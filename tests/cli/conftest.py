from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toy


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.build(tmp_path_factory.mktemp("toy"), shallow=True)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that holds one picture, room.png."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:40, :52]
    Image.fromarray(np.stack([4 * x, 6 * y, 2 * (x + y)], axis=2).astype(np.uint8)).save("room.png")
    return tmp_path
