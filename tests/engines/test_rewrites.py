"""Graphs rewritten before OpenVINO compiles them: fewer multiplications, the same numbers."""

import numpy as np
import pytest

import partway
from partway.engines.rewrites.phases import split_enlarged
from partway.engines.rewrites.shared import copies, share
from partway.engines.rewrites.waves import Waves, take_out
from partway.engines.rewrites.winograd import fewer_products, worth_it

openvino = pytest.importorskip("openvino", reason="openvino is an extra")
ops = pytest.importorskip("openvino.opset13")

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def run(model, **inputs):
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return next(iter(compiled.create_infer_request().infer(inputs).values())).copy()


def kinds(model):
    return [node.get_type_name() for node in model.get_ordered_ops()]


def given(name, shape, dtype=np.float32):
    """An input of a model, by name."""
    port = ops.parameter(shape, dtype, name=name)
    port.output(0).set_names({name})
    return port


def enlarging(weights, scale=2.0, mode="nearest", size=(3, 5)):
    """A picture that is enlarged, then convolved."""
    x = ops.parameter([2, 4, *size], np.float32, name="x")
    larger = ops.interpolate(
        x, np.array([scale, scale], np.float32), mode, "scales", axes=np.array([2, 3]),
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    side = weights.get_output_shape(0)[-1]
    pads = [side // 2] * 2
    return openvino.Model([ops.convolution(larger, weights, [1, 1], pads, pads, [1, 1])], [x])


def plain(side=3):
    return ops.constant(normal(6, 4, side, side))


def few_bits():
    """Weights of eight bits with a scale for each channel, as `partway export --weights int8` stores them."""
    whole = ops.convert(ops.constant(RNG.integers(-128, 128, (6, 4, 3, 3), np.int8)), np.float32)
    return ops.multiply(whole, ops.constant(normal(6, 1, 1, 1)))


@pytest.mark.parametrize("weights", [plain, few_bits])
def test_a_convolution_of_an_enlarged_picture_is_four_small_ones(weights):
    model, x = enlarging(weights()), normal(2, 4, 3, 5)
    before = run(model, x=x)
    assert split_enlarged(model) == 1
    assert kinds(model).count("Convolution") == 4 and "Interpolate" not in kinds(model)
    np.testing.assert_allclose(run(model, x=x), before, rtol=1e-5, atol=1e-5 * np.abs(before).max())


def other_weights():
    """What convolves depends on the input, so nothing can be added beforehand."""
    model = enlarging(plain())
    convolution = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    own = ops.multiply(convolution.input_value(1), ops.reduce_mean(model.input(0), np.array([0, 1, 2, 3]), False))
    convolution.input(1).replace_source_output(own.output(0))
    return model


def unknown_size():
    model = enlarging(plain())
    model.reshape({0: [2, 4, -1, 5]})
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: enlarging(plain(), scale=3.0),
        lambda: enlarging(plain(), mode="linear"),
        lambda: enlarging(plain(side=5)),
        other_weights,
        unknown_size,
    ],
    ids=["three times", "linear", "5x5", "weights of the input", "unknown size"],
)
def test_other_convolutions_stay(model):
    model = model()
    before = kinds(model)
    assert split_enlarged(model) == 0 and kinds(model) == before


def convolved(size=(64, 60), inputs=160, outputs=176, weights=None, **changed):
    """A picture convolved, point by point unless that is changed."""
    x = ops.parameter([2, inputs, *size], np.float32, name="x")
    how = {"strides": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1], "dilations": [1, 1]} | changed
    weights = ops.constant(normal(outputs, inputs, 3, 3)) if weights is None else weights
    return openvino.Model([ops.convolution(x, weights, **how)], [x])


def few_bits_wide():
    whole = ops.convert(ops.constant(RNG.integers(-128, 128, (176, 160, 3, 3), np.int8)), np.float32)
    return ops.multiply(whole, ops.constant(normal(176, 1, 1, 1)))


@pytest.mark.parametrize("weights", [None, few_bits_wide], ids=["floats", "few bits"])
def test_a_convolution_in_tiles_gives_the_same_sums(weights):
    model, x = convolved(weights=weights and weights()), normal(2, 160, 64, 60)
    before = run(model, x=x)
    assert fewer_products(model) == 1 and "MatMul" in kinds(model)
    np.testing.assert_allclose(run(model, x=x), before, atol=3e-5 * np.abs(before).max())


@pytest.mark.parametrize(
    "model",
    [
        lambda: convolved(size=(62, 60)),
        lambda: convolved(inputs=64),
        lambda: convolved(size=(8, 8)),
        lambda: convolved(strides=[2, 2]),
        lambda: convolved(pads_begin=[0, 0]),
        lambda: convolved(weights=ops.constant(normal(176, 160, 5, 5)), pads_begin=[2, 2], pads_end=[2, 2]),
    ],
    ids=["no whole tiles", "few channels", "small picture", "stride", "pads", "5x5"],
)
def test_convolutions_that_are_quicker_as_they_are_stay(model):
    model = model()
    before = kinds(model)
    assert fewer_products(model) == 0 and kinds(model) == before


@pytest.mark.parametrize(
    ("options", "tiled"),
    [
        ({"static": True}, True),
        ({}, False),
        ({"static": True, "release": True}, True),
        ({"static": True, "memory_limit": "3GB"}, False),
        ({"static": True, "stream": True}, False),
        ({"static": True, "precision": "bf16"}, False),
    ],
    ids=["one size", "any size", "released", "memory limited", "streamed", "bf16"],
)
def test_tiles_are_for_float32_where_memory_is_not_short(tmp_path, monkeypatch, options, tiled):
    from partway.engines import openvino as engine

    monkeypatch.setattr("partway.engines.options.on_x86", lambda: True)
    model, rewritten = convolved(), []
    model.reshape({0: [2, 160, -1, -1]})
    openvino.save_model(model, tmp_path / "vae_decoder.xml", compress_to_fp16=False)

    def counted(model):
        rewritten.append(fewer_products(model))

    monkeypatch.setattr("partway.engines.rewrites.fewer_products", counted)
    opened = engine.OpenVINO({"vae_decoder": tmp_path / "vae_decoder.xml"}, engine.EngineOptions(**options))
    name = next(iter(opened.signature("vae_decoder").inputs))
    opened.run("vae_decoder", {name: normal(2, 160, 64, 60)})
    assert sum(rewritten) == tiled


def test_what_tiles_are_worth():
    """Stable Diffusion's own layers: the autoencoder's large pictures but for those of few channels, not the UNet's."""
    assert worth_it(512, 512, 128, 128) and worth_it(256, 512, 256, 256) and worth_it(256, 128, 256, 256)
    assert not worth_it(128, 128, 512, 512) and not worth_it(512, 512, 64, 64) and not worth_it(320, 320, 64, 64)
    assert not worth_it(512, 512, 130, 128)


def two_texts(rows=4):
    """Latents worked on before and after a text is looked at; a layer asks for its own size, as exported ones do."""
    latents, time, text = given("sample", [rows, 3, 2, 2]), given("timestep", []), given("text", [rows, 3])
    early = ops.tanh(ops.convolution(latents, normal(3, 3, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1]))
    timed = ops.add(early, ops.broadcast(time, ops.shape_of(early)))
    size = ops.concat([ops.gather(ops.shape_of(timed), ops.constant([0, 1]), ops.constant(0)), ops.constant([1, 1])], 0)
    half = ops.convert_like(ops.constant(0.5), timed)  # a number that takes a layer's type, as attention's scale does
    told = ops.multiply(ops.multiply(timed, ops.reshape(text, size, False)), half)
    flat = ops.reshape(told, ops.constant([rows, 12]), False)
    return openvino.Model([ops.matmul(flat, normal(12, 5), False, False), ops.negative(timed)], [latents, time, text])


@pytest.mark.parametrize("count", [2, 4])
def test_rows_that_begin_alike_are_computed_once(count):
    latents, time, text = normal(4 // count, 3, 2, 2), np.float32(0.3), normal(4, 3)
    whole = run(two := two_texts(), sample=np.tile(latents, (count, 1, 1, 1)), timestep=time, text=text)
    shared = share(two, "sample", count)
    assert {port.get_any_name(): list(port.shape) for port in shared.inputs} == {
        "sample": [4 // count, 3, 2, 2], "timestep": [], "text": [4, 3]
    }  # fmt: skip
    assert [list(port.shape) for port in shared.outputs] == [[4, 5], [4, 3, 2, 2]]
    early = next(node for node in shared.get_ordered_ops() if node.get_type_name() == "Tanh")
    assert early.get_output_shape(0)[0] == 4 // count
    np.testing.assert_allclose(run(shared, sample=latents, timestep=time, text=text), whole, rtol=1e-5, atol=1e-6)


def test_one_number_of_all_rows_is_not_shared():
    """It has no rows to repeat, and of fewer rows it may be another."""
    latents, text = (given(name, [2, 3, 2, 2]) for name in ("sample", "text"))
    total = ops.reduce_sum(latents, np.array([0, 1, 2, 3]), False)
    model = openvino.Model([ops.multiply(text, total)], [latents, text])
    inputs = {"sample": np.tile(normal(1, 3, 2, 2), (2, 1, 1, 1)), "text": normal(2, 3, 2, 2)}
    whole = run(model, **inputs)
    assert share(model, "sample", 2) is None
    np.testing.assert_array_equal(run(model, **inputs), whole)


def test_copies_are_whole_turns_of_the_rows():
    a, b = normal(1, 2, 2), normal(1, 2, 2)
    rows = {1: [a], 2: [a, b, a, b], 3: [a, a, a], 4: [a, a, a, a]}
    assert {count: copies(np.concatenate(some)) for count, some in rows.items()} == {count: count for count in rows}
    assert copies(np.concatenate([a, b, b, a])) == copies(np.concatenate([a, b, a])) == 1


def test_pictures_are_those_of_the_graphs_as_they_are(picture):
    """The built-in model has all of it: enlarging layers, and guidance's two rows of the same latents."""
    settings = {"strength": 0.6, "steps": 4, "seed": 3, "negative_prompt": "a red sofa"}
    as_they_are, rewritten = (partway.load(engine="openvino", static=static) for static in (False, True))
    for guidance in ({}, {"guidance_scale": 1.0}, {"guidance_max_sigma": 0.5}):
        ours, theirs = (
            np.asarray(pipe.img2img(picture, "a japandi living room", **settings, **guidance).image, int)
            for pipe in (rewritten, as_they_are)
        )
        assert np.abs(ours - theirs).max() <= 1
    count = {entry.adapter.alike and entry.adapter.alike.times for entry in rewritten.engine._compiled["unet"].values()}
    assert count == {None, 2}


def told_the_time(dtype=np.float32, rows=-1):
    """Latents to which sines and cosines of a timestep are added, for as many rows as there are, as UNets are told."""
    latents, time = given("sample", [rows, 2, 3, 8]), given("timestep", [], dtype)
    size = ops.gather(ops.shape_of(latents), ops.constant([0]), ops.constant(0))
    angles = ops.multiply(
        ops.unsqueeze(ops.convert(ops.broadcast(time, size), np.float32), 1),
        ops.constant(0.3 ** np.arange(4, dtype=np.float32)),
    )
    told = ops.matmul(ops.concat([ops.sin(angles), ops.cos(angles)], 1), normal(8, 8), False, False)
    made = ops.sin(ops.matmul(latents, normal(8, 8), False, False))
    return openvino.Model([ops.add(made, ops.unsqueeze(told, ops.constant([1, 2])))], [latents, time])


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("rows", [-1, 3])
def test_what_a_network_is_told_as_waves_is_computed_beside_it(dtype, rows):
    model = told_the_time(dtype, rows)
    inputs = {"sample": normal(3, 2, 3, 8), "timestep": np.array(981, dtype)}
    whole = run(model, **inputs)
    rest, beside = take_out(model)
    assert [kinds(rest).count(kind) for kind in ("Sin", "Cos")] == [1, 0]  # what layers have made stays
    given = Waves(openvino.Core(), beside, rest).beside(inputs)
    assert set(given) == {"sample", "wave.0", "wave.1"}
    np.testing.assert_allclose(run(rest, **given), whole, rtol=1e-6, atol=1e-6)


def test_a_network_without_waves_stays():
    model = enlarging(plain())
    assert take_out(model) == (model, None)


def test_noise_levels_are_exact_in_bfloat16(tmp_path):
    """Told a timestep that bfloat16 cannot tell from its neighbours, networks still tell them apart."""
    from partway.engines import EngineOptions
    from partway.engines.openvino import OpenVINO

    file = tmp_path / "unet.xml"
    openvino.save_model(told_the_time(), file, compress_to_fp16=False)
    sample = normal(2, 2, 3, 8)

    def told(precision, time):
        engine = OpenVINO({"unet": file}, EngineOptions(precision=precision))
        return next(iter(engine.run("unet", {"sample": sample, "timestep": np.float32(time)}).values()))

    for time in (981, 979.5):
        exact = told("fp32", time)
        assert np.abs(told("bf16", time) - exact).max() < 0.02 * np.abs(exact).max()
