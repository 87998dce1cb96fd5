"""Weights in 4 bits are off by a step at most, and rows that do not divide into groups are left alone."""

import numpy as np
import onnx
import pytest

import partway
from export_graphs import FILES, RUN, decibels
from partway_export.four_bits import group, pack
from partway_rooms import room


@pytest.mark.parametrize(("width", "size"), [(320, 64), (96, 32), (48, None)])
def test_rows_divide_into_groups(width, size):
    assert group(width) == size


def test_a_number_is_off_by_a_step_at_most():
    values = np.random.default_rng(0).normal(size=(128, 5)).astype(np.float32)
    values[:64, 2] = 0
    packed, scales = pack(values, 64)
    assert packed.shape == (5, 2, 32) and packed.dtype == np.uint8 and scales.shape == (5, 2)
    steps = np.stack([packed & 15, packed >> 4], axis=-1).reshape(5, 2, 64).astype(np.float32) - 8
    back = (steps * scales[..., None]).reshape(5, 128).T
    assert np.all(np.abs(back - values) <= np.abs(scales).repeat(64, axis=1).T * 1.001)
    assert np.abs(back - values).mean() < 0.1 and not back[:64, 2].any()


@pytest.fixture(scope="module", params=["onnx", pytest.param("openvino", marks=pytest.mark.thorough)])
def packed(request, exported):
    """A package of 4 bits and one of 8, split, the first also cut where its format can be."""
    segments = {"segments": 3} if request.param == "onnx" else {}
    four = exported("sd1", request.param, "int4", split=True, **segments)
    return request.param, four.folder, exported("sd1", request.param, "int8", split=True).folder


def test_products_take_half_the_room(packed):
    to, *folders = packed
    files = [folder / "unet" / FILES[to] for folder in folders]
    if to == "onnx":
        graph = onnx.load(files[0]).graph
        products = [node for node in graph.node if node.op_type == "MatMulNBits"]
        assert len(products) > 10
        assert all(
            node.op_type != "MatMulNBits" for node in onnx.load(folders[0] / "text_encoder/model.onnx").graph.node
        )
    else:
        assert 'element_type="i4"' in files[0].read_text()
        four, eight = (file.with_suffix(".bin").stat().st_size for file in files)
        assert four < eight


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.thorough)])
def test_pictures_are_near_those_of_eight_bits(packed, engine):
    to, *folders = packed
    if to == "openvino" and engine == "onnxruntime":
        pytest.skip("reads no OpenVINO files")
    picture, made = room(3, size=64).picture, []
    for folder in folders:
        pipe = partway.load(folder, engine=engine)
        made.append(np.asarray(pipe.img2img(picture, "a room", strength=0.6, steps=4, reuse=0.4).image))
    assert decibels(made[1], made[0]) > 20
    if to == "onnx":
        streamed = partway.load(folders[0], engine=engine, stream=True)
        again = np.asarray(streamed.img2img(picture, "a room", strength=0.6, steps=4, reuse=0.4).image)
        assert decibels(made[0], again) > 40


def test_goldens_hold_in_both_engines(packed):
    to, four, _ = packed
    with np.load(four / "goldens/unet.npz") as golden:
        inputs = {name.removeprefix("inputs/"): golden[name] for name in golden if name.startswith("inputs/")}
        expected = golden["outputs/out_sample"]
    for run in RUN.values() if to == "onnx" else [RUN["openvino"]]:
        assert decibels(expected, run(four / "unet" / FILES[to], inputs)["out_sample"]) > 28
