"""A server of the toy model for tests, on a free port of this machine alone."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from http_client import Client, png
from partway.serve.jobs import Job
from partway.serve.limits import Limits
from partway.serve.start import Options, started


@contextmanager
def served(folder, **options):
    server = started(Options(models=(str(folder),), port=0, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


@pytest.fixture(scope="session")
def serve():
    """``with serve(folder, **options) as server``: one of its own."""
    return served


@pytest.fixture(scope="session")
def server(toy_folder):
    with served(toy_folder, limits=Limits(pixels=256 * 256, steps=1000)) as one:
        yield one


@pytest.fixture
def client(server):
    return Client(server.address)


@pytest.fixture
def slow_steps(monkeypatch):
    """``slow_steps(seconds)``: let them take so long; those of the toy model are over before anybody has looked."""
    tell = Job.tell

    def set_to(seconds):
        def slow(job, **fields):
            tell(job, **fields)
            time.sleep(seconds * ("step" in fields))

        monkeypatch.setattr(Job, "tell", slow)

    return set_to


@pytest.fixture(scope="session")
def photo():
    """A picture of 64x48, as a PNG's bytes."""
    rng = np.random.default_rng(5)
    return png(Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)))
