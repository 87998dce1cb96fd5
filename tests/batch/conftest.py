from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toy
from batches import Drawn


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.build(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """``drawn("a/b.png", 7)`` writes a picture below ``rooms`` in the current folder, which is empty before."""
    monkeypatch.chdir(tmp_path)

    def draw(name: str, number: int = 0, size: tuple[int, int] = (40, 24)) -> Path:
        y, x = np.mgrid[: size[1], : size[0]]
        path = Path("rooms", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([4 * x + number, 6 * y, 2 * (x + y)], axis=2).astype(np.uint8)).save(path)
        return path

    return draw
