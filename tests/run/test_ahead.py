"""Networks that open in the background: in the order of their calls, and none where memory is limited."""

import threading
from dataclasses import replace

import pytest

import partway
from partway.engines.timed import Timed
from partway.errors import PackageError


class Watched(Timed):
    """Notes which networks were asked for in the background; ``broken`` is one that cannot be opened there."""

    def __init__(self, engine, broken=""):
        super().__init__(engine)
        self.ahead, self._broken = [], broken

    def signature(self, network):
        if threading.current_thread().name == "partway-open":
            self.ahead.append(network)
            if network == self._broken:
                raise PackageError("there is no such file")
        return super().signature(network)


def run(pipe, picture, **settings):
    """What a run of the pipeline opens ahead, and its picture."""
    image = pipe.img2img(picture, "a room", steps=3, **settings).image
    for thread in threading.enumerate():
        if thread.name == "partway-open":
            thread.join()
    return pipe.engine.ahead, image.tobytes()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_what_comes_behind_the_encoders_is_opened_ahead(toy_folder, picture, engine):
    pytest.importorskip(engine)
    pipe = partway.load(toy_folder, engine=engine)
    watched = replace(pipe, engine=Watched(pipe.engine))
    assert run(watched, picture) == (["unet", "vae_decoder"], pipe.img2img(picture, "a room", steps=3).image.tobytes())


def test_only_what_a_run_calls_is_opened(toy_folder, picture):
    pipe = partway.load(toy_folder, engine="onnxruntime")
    assert run(replace(pipe, engine=Watched(pipe.engine)), picture, strength=0)[0] == []


def test_nothing_is_opened_where_memory_is_limited(toy_folder, picture):
    for options in ({"memory_limit": "4 GB"}, {"release": True}):
        pipe = partway.load(toy_folder, engine="onnxruntime", **options)
        assert run(replace(pipe, engine=Watched(pipe.engine)), picture)[0] == []


def test_what_fails_in_the_background_is_tried_again_by_the_run(toy_folder, picture):
    pipe = partway.load(toy_folder, engine="onnxruntime")
    ahead, image = run(replace(pipe, engine=Watched(pipe.engine, broken="unet")), picture)
    assert ahead == ["unet", "vae_decoder"]
    assert image == pipe.img2img(picture, "a room", steps=3).image.tobytes()
