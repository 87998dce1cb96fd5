"""The size that a graph is fixed to, read from its file: as the engines see it, quickly, and never a crash."""

import os
from random import Random
from time import perf_counter

import pytest
from onnx import TensorProto, helper

import toy
from partway.engines import EngineOptions, open_engine
from partway.model.fixed import fixed_size
from partway.model.package import open_package

NETWORKS = ("unet", "vae_encoder", "vae_decoder", "tiny_encoder", "tiny_decoder")


def seen(engine, network):
    """Height and width of a network's pictures, as an engine that has loaded it says."""
    return next(port.shape[2:] for port in engine.signature(network).inputs.values() if len(port.shape) == 4)


def as_openvino(folder, network):
    """The network's file beside its .onnx, as OpenVINO writes it."""
    openvino = pytest.importorskip("openvino")
    file = folder / network / "openvino_model.xml"
    openvino.save_model(openvino.Core().read_model(folder / network / "model.onnx"), file, compress_to_fp16=False)
    return file


@pytest.mark.parametrize("size", [None, (8, 8), (8, 12)])
def test_it_is_what_the_engines_see(tmp_path, size):
    folder = toy.build(tmp_path / "toy", size=size, tiny=True)
    files = open_package(folder).networks
    engine = open_engine("onnxruntime", files, EngineOptions())
    for network in NETWORKS:
        sides = seen(engine, network)
        assert (fixed_size(files[network]) or (None, None)) == sides
        assert (sides == (None, None)) == (size is None)


@pytest.mark.parametrize("size", [None, (8, 8), (8, 12)])
def test_it_is_read_from_openvino_s_files_too(tmp_path, size):
    folder = toy.build(tmp_path / "toy", size=size)
    for network in NETWORKS[:3]:
        onnx, xml = fixed_size(folder / network / "model.onnx"), fixed_size(as_openvino(folder, network))
        assert onnx == xml and (xml is None) == (size is None)


def test_a_network_without_pictures_has_none(toy_folder):
    assert fixed_size(toy_folder / "text_encoder/model.onnx") is None


def test_a_file_that_changes_is_read_again(tmp_path):
    file = toy.build(tmp_path / "toy") / "unet/model.onnx"
    assert fixed_size(file) is None
    toy.build(tmp_path / "toy", size=(8, 12))
    assert fixed_size(file) == (8, 12)


def test_weights_are_not_read(tmp_path):
    """A gigabyte of them before the inputs, in a file that takes none of the disk."""

    def field(number, length):
        """The start of a field of so many bytes: its number, and the length in 7 bits a byte."""
        start = bytearray([number << 3 | 2])
        while length > 127:
            start.append(length & 127 | 128)
            length >>= 7
        return bytes([*start, length])

    port = helper.make_tensor_value_info("sample", TensorProto.FLOAT, [1, 4, 64, 96]).SerializeToString()
    file, large = tmp_path / "large.onnx", 2**30
    values, inputs = field(9, large), field(11, len(port)) + port
    initializer = field(5, len(values) + large) + values
    with file.open("wb") as out:
        out.write(field(7, len(initializer) + large + len(inputs)) + initializer)
        out.seek(large, os.SEEK_CUR)
        out.write(inputs)
    begun = perf_counter()
    assert fixed_size(file) == (64, 96)
    assert perf_counter() - begun < 1


@pytest.mark.parametrize("side", [0, -1, "height"])
def test_a_side_that_is_no_size_is_any(tmp_path, side):
    """-1 is how some exporters write it."""
    port = helper.make_tensor_value_info("sample", TensorProto.FLOAT, [1, 4, side, 8])
    graph = helper.make_graph([helper.make_node("Identity", ["sample"], ["same"])], "graph", [port], [port])
    (tmp_path / "some.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    assert fixed_size(tmp_path / "some.onnx") is None


@pytest.mark.parametrize("name", ["model.onnx", "openvino_model.xml"])
def test_damaged_files_have_none_or_some(tmp_path, name):
    """What is wrong with them is said when they are loaded."""
    folder = toy.build(tmp_path / "toy", size=(8, 12))
    as_openvino(folder, "unet")
    whole, file, random = (folder / "unet" / name).read_bytes(), tmp_path / f"damaged{name[-5:]}", Random(0)
    for _ in range(300):
        content = bytearray(whole[: random.randrange(len(whole))])
        for _ in range(3):
            content[random.randrange(len(content)) if content else 0 :][:1] = bytes([random.randrange(256)])
        file.write_bytes(content)
        found = fixed_size(file)
        assert found is None or (len(found) == 2 and min(found) > 0)
    assert fixed_size(tmp_path / "nothing.onnx") is None
