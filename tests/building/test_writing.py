"""ONNX models written by hand are what the package onnx reads, and engines open them over files as they lie."""

from importlib.util import find_spec

import numpy as np
import onnx
import pytest

import checkpoint_shapes as shapes
import stored
from partway.building.graph import Graph
from partway.building.networks import networks
from partway.building.parts import segments
from partway.checkpoints.safetensors import read_header
from partway.checkpoints.single_file import open_file
from partway.engines import EngineOptions, open_engine
from partway.errors import PackageError

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")
ENGINES = ["onnxruntime", pytest.param("openvino", marks=needs_openvino)]


def doubled(header):
    """A network of one linear layer of rows."""
    g = Graph(header.weights)
    x = g.input("x", "F32", "rows", 3)
    g.output(g.linear_rows(x, "layer"), "y", "rows", 2)
    return g.finish()


WEIGHT = np.float32([[1, 2, -3], [0.5, 0, 8]])
BIAS = np.float32([1, -1])
X = np.float32([[1, 2, 3], [4, 5, 6]])


@pytest.fixture
def layer(tmp_path):
    def write(path=None, types=None, **arrays):
        arrays = {"layer.weight": WEIGHT, "layer.bias": BIAS} | arrays
        return read_header(stored.write(path or tmp_path / "w.safetensors", arrays, types=types))

    return write


def run(engine, network, **options):
    return open_engine(engine, {"unet": network}, EngineOptions(**options)).run("unet", {"x": X})["y"]


@pytest.mark.parametrize("kind", ["sd1", "sd2", "xl", "refiner"])
def test_every_network_is_a_valid_model(tmp_path, kind):
    path = stored.sparse(tmp_path / "m.safetensors", getattr(shapes, kind)())
    for network in networks(open_file(path)).values():
        onnx.checker.check_model(onnx.load_from_string(network.with_inputs()), full_check=True)
        model = onnx.load_from_string(network.with_files())
        placed = {one.name.removesuffix("/stored"): one for one in model.graph.initializer if one.external_data}
        assert placed.keys() == network.weights.keys()
        for name, weight in network.weights.items():
            entries = {entry.key: entry.value for entry in placed[name].external_data}
            assert entries == {
                "location": "m.safetensors", "offset": str(weight.offset), "length": str(weight.length)
            }  # fmt: skip
            assert tuple(placed[name].dims) == weight.shape


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_weights_of_every_type_are_used_where_they_lie(layer, engine, kind):
    half = WEIGHT.astype(np.float16)
    arrays = {
        "F32": WEIGHT,
        "F16": half,
        "BF16": (WEIGHT.view(np.uint32) >> 16).astype(np.uint16),
        "F8_E4M3": np.uint8([[0x38, 0x40, 0xC4], [0x30, 0x00, 0x50]]),
        "F8_E5M2": (half.view(np.uint16) >> 8).astype(np.uint8),
    }
    header = layer(types={"layer.weight": kind}, **{"layer.weight": arrays[kind]})
    assert (run(engine, doubled(header)) == X @ WEIGHT.T + BIAS).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_may_begin_anywhere(tmp_path, engine):
    places = set()
    for pad in range(1, 5):
        arrays = {"before": np.zeros(pad, np.uint8), "layer.weight": WEIGHT, "layer.bias": BIAS}
        header = read_header(stored.write(tmp_path / f"{pad}.safetensors", arrays))
        places.add(header.weights["layer.weight"].offset % 4)
        assert (run(engine, doubled(header)) == X @ WEIGHT.T + BIAS).all()
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_scale_beside_weights_of_eight_bits(layer, engine):
    arrays = {"layer.weight": np.uint8([[0x38, 0x40, 0xC4], [0x30, 0x00, 0x50]]), "layer.scale_weight": np.float32(2)}
    header = layer(types={"layer.weight": "F8_E4M3"}, **arrays)
    assert (run(engine, doubled(header)) == X @ (2 * WEIGHT).T + BIAS).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_files_as_the_hub_caches_them(tmp_path, layer, engine):
    blob = tmp_path / "blobs/0a1b2c"
    blob.parent.mkdir()
    layer(path=blob)
    link = tmp_path / "snapshots/main/unet/diffusion_pytorch_model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    assert (run(engine, doubled(read_header(link))) == X @ WEIGHT.T + BIAS).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_changes_before_it_is_mapped_is_refused(tmp_path, layer, engine):
    network = doubled(layer())
    layer(more=np.zeros(3, np.float32))
    with pytest.raises(PackageError, match="has changed"):
        run(engine, network)


@needs_openvino
def test_a_network_that_is_compiled_once_is_cached(tmp_path, layer):
    network = doubled(layer())
    for _ in range(2):
        got = run("openvino", network, cache_dir=tmp_path / "cache", static=True)
        assert (got == X @ WEIGHT.T + BIAS).all()
    assert len(list((tmp_path / "cache").rglob("*.blob"))) == 1


def test_a_unet_has_only_so_many_segments(tmp_path):
    unet = networks(open_file(stored.sparse(tmp_path / "m.safetensors", shapes.sd1())))["unet"]
    parts = segments(unet, 5)
    assert set().union(*(part.weights for part in parts)) == unet.weights.keys()
    with pytest.raises(PackageError, match="ask for fewer"):
        segments(unet, 100)
