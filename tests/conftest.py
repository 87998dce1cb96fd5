from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway.engines.timed import Timed


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """What was tuned on this machine has no part in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTWAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    return toy.build(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def split_folder(tmp_path_factory):
    return toy.build(tmp_path_factory.mktemp("split"), shallow=True)


@pytest.fixture(scope="session")
def pipe(toy_folder):
    return partway.load(toy_folder)


@pytest.fixture
def counted(pipe):
    """A fresh pipeline, nothing remembered, and the engine that counts its calls."""
    engine = Timed(pipe.engine)
    return replace(partway.Pipeline(pipe.package, engine, pipe.tokenizers)), engine


@pytest.fixture(scope="session")
def picture():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8))
