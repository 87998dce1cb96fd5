"""Compiled networks in a folder: read again, replaced where they are damaged, and removed in the right order."""

import os
from importlib.util import find_spec

import pytest

import partway
from partway.engines.compiled import Compiled

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")


def blobs(folder):
    return {file: file.read_bytes() for file in folder.glob("openvino-*/*/*.blob")}


@pytest.fixture
def make(toy_folder, tmp_path, picture):
    """Load anew and make a picture, with networks cached; what the picture is, and whether they were read again."""

    def run(**options):
        pipe = partway.load(toy_folder, engine="openvino", cache_dir=tmp_path / "a" / "cache", **options)
        made = pipe.img2img(picture, "a room").image.tobytes()
        (compiled,) = pipe.engine._compiled["unet"].values()
        return made, compiled.request.get_compiled_model().get_property("LOADED_FROM_CACHE")

    return run


@needs_openvino
@pytest.mark.parametrize("static", [False, True])
def test_a_second_start_reads_what_the_first_compiled(make, toy_folder, tmp_path, picture, static):
    plain = partway.load(toy_folder, engine="openvino", static=static).img2img(picture, "a room").image.tobytes()
    assert make(static=static) == (plain, False)
    first = blobs(tmp_path / "a" / "cache")
    assert len(first) == 4  # text encoder, UNet, both halves of the VAE
    assert make(static=static) == (plain, True)
    assert blobs(tmp_path / "a" / "cache") == first


@needs_openvino
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 5000])
def test_what_is_damaged_is_compiled_again(make, tmp_path, damage):
    made, _ = make()
    whole = blobs(tmp_path / "a" / "cache")
    for file, data in whole.items():
        file.chmod(0o600)
        file.write_bytes(damage(data))
    assert make() == (made, False)
    assert blobs(tmp_path / "a" / "cache").keys() == whole.keys()
    assert make() == (made, True)


@needs_openvino
def test_nothing_stays_beyond_the_limit(make, tmp_path):
    (tmp_path / "a" / "cache").mkdir(parents=True)
    (tmp_path / "a" / "cache" / "mine.blob").write_bytes(bytes(1000))
    made, _ = make(cache_limit="1KB")
    assert not blobs(tmp_path / "a" / "cache") and (tmp_path / "a" / "cache" / "mine.blob").exists()
    assert make(cache_limit="1KB") == (made, False)


@needs_openvino
def test_a_model_that_changes_has_another_place(toy_folder, tmp_path):
    cache = Compiled(tmp_path, 100, ["1.0", "CPU"])
    network = toy_folder / "unet/model.onnx"
    places = {cache.place(network, "fp32"), cache.place(network, "bf16")}
    os.utime(network)
    assert len(places | {cache.place(network, "fp32")}) == 3


def test_other_versions_go_first_and_then_what_is_used_least(tmp_path):
    def filled(names, key, age):
        folder = tmp_path / "-".join(["openvino", *names]) / key
        folder.mkdir(parents=True)
        (folder / "1.blob").write_bytes(bytes(100))
        os.utime(folder / "1.blob", (1e9 - age, 1e9 - age))
        return folder

    def left():
        return {folder for folder in everything if (folder / "1.blob").exists()}

    here = ["2.0", "GPU", "31.0"]
    old, recent, now = filled(here, "old", 20), filled(here, "recent", 10), filled(here, "now", 30)
    version, driver = filled(["1.0", "GPU", "31.0"], "x", 1), filled(["2.0", "GPU", "30.0"], "y", 2)
    everything = {old, recent, now, version, driver}
    Compiled(tmp_path, 500, here).used(now)
    assert left() == everything
    Compiled(tmp_path, 450, here).used(now)
    assert left() == everything - {driver}
    Compiled(tmp_path, 250, here).used(now)
    assert left() == {recent, now} and not version.parent.exists()
    Compiled(tmp_path, 100, here).used(now)
    assert left() == {now}
