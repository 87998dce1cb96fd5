import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import partway
import toy
from partway.engines.timed import Timed


def pytest_configure(config):
    """Beside others, a process of pytest-xdist keeps to one core: on models so small, more threads would only wait."""
    if not hasattr(config, "workerinput") or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    number = os.getppid() + int(config.workerinput["workerid"].removeprefix("gw"))
    os.sched_setaffinity(0, {cores[number % len(cores)]})  # all libraries go by it but one
    import onnxruntime

    class OneThread(onnxruntime.SessionOptions):
        def __init__(self):
            super().__init__()
            self.intra_op_num_threads = 1

    onnxruntime.SessionOptions = OneThread


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """What was tuned on this machine has no part in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTWAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory, request):
    """What is slow to make, made once for all processes of the run, or of several runs that name a folder for it."""
    from exports import Store

    root = tmp_path_factory.getbasetemp()
    root = root.parent if hasattr(request.config, "workerinput") else root
    return Store(Path(os.environ.get("PARTWAY_TESTS_STORE") or root / "store"))


@pytest.fixture(scope="session")
def tiny_model(store):
    """``tiny_model(kind)``: a small random-weight model's folder, as diffusers writes it."""
    return store.model


@pytest.fixture(scope="session")
def exported(store):
    """``exported(kind, to, weights, **options)``: such a model's package."""
    return store.exported


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
