"""Weights and activations in 8 bits: the graphs compute in integers, on what the model visits, and near to torch."""

import json
import shutil
from collections import Counter

import numpy as np
import onnx
import pytest
from PIL import Image

import adapter_files
import partway
import stored
import toy
from export_graphs import FILES, RUN, decibels
from partway import cli
from partway.errors import InputError
from partway_export import calibrate, export, onnx_file, quantise
from partway_export.layers import in_float

# Below what was measured (33 dB at the worst), far above what a mistake leaves.
NEEDED = 28


# Of the small model's layers: the convolutions and products with weights that run in integers, and the first and the
# last convolution and the six of the last level up, which do not.
CONVOLUTIONS, PRODUCTS, IN_FLOAT = 25, 40, 8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((320, 240)).save(folder / "one.png")
    (folder / "prompts.txt").write_text("a cozy living room\n\na cat on the sand\n")
    (folder / "notes.md").write_text("not a picture")
    return folder


@pytest.fixture(scope="module", params=["onnx", pytest.param("openvino", marks=pytest.mark.thorough)])
def made(request, tiny_model, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages") / request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "SAMPLES", 8)  # quicker; other tests take them all
        export(tiny_model("sd1"), folder, to=request.param, weights="w8a8", calibration=pictures)
    return folder, request.param


@pytest.fixture(scope="module")
def recorded(package, pictures):
    """The float32 package, and what its UNet is given."""
    made = package("onnx-fp32")
    return made.folder, calibrate.calibrate(made.folder, "tiny", calibrate.material(pictures))


def golden(folder):
    arrays = np.load(folder / "goldens/unet.npz")
    inputs, outputs = (
        {key.removeprefix(part): arrays[key] for key in arrays if key.startswith(part)}
        for part in ("inputs/", "outputs/")
    )
    return inputs, outputs["out_sample"]


def in_onnxruntime(path, tmp_path):
    """The operators that ONNX Runtime makes of a graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)


def in_openvino(path):
    """The (operator, precision) of the layers that OpenVINO runs."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).get_runtime_model()
    told = [node.get_rt_info() for node in model.get_ops()]
    return Counter((info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in told)


def test_convolutions_and_matrix_products_run_in_integers(made, tmp_path):
    folder, to = made
    path = folder / "unet" / FILES[to]
    if to == "onnx":
        operators = in_onnxruntime(path, tmp_path)
        assert (operators["QLinearConv"], operators["Conv"]) == (CONVOLUTIONS, IN_FLOAT)
        assert operators["MatMulIntegerToFloat"] == PRODUCTS
    layers = in_openvino(path)
    assert layers["Convolution", "u8"] + layers["Convolution", "i8"] == CONVOLUTIONS
    assert layers["Convolution", "f32"] == IN_FLOAT
    assert layers["FullyConnected", "u8"] + layers["FullyConnected", "i8"] == PRODUCTS


def test_it_is_near_torch_on_both_engines(made):
    folder, to = made
    inputs, expected = golden(folder)
    for engine in ("onnx", "openvino") if to == "onnx" else ("openvino",):
        output = RUN[engine](folder / "unet" / FILES[to], inputs)["out_sample"]
        assert decibels(expected, output) > NEEDED


def test_its_picture_is_near_that_of_float32(made, package, pictures):
    folder, _ = made
    whole = package("onnx-fp32").folder
    settings = {"strength": 0.5, "steps": 6, "seed": 3, "guidance_scale": 1}
    one, other = (
        partway.load(model).img2img(pictures / "one.png", "a cat on the sand", **settings).image
        for model in (whole, folder)
    )
    assert decibels(np.asarray(one), np.asarray(other)) > NEEDED


def test_the_manifest_and_info_tell_what_it_was_calibrated_on(made, capsys):
    folder, _ = made
    manifest = json.loads((folder / "partway.json").read_text())
    assert manifest["weights"] == "w8a8"
    facts = manifest["calibration"]
    assert (facts["pictures"], facts["prompts"]) == (["one.png"], ["a cozy living room", "a cat on the sand"])
    assert facts["strengths"] == list(calibrate.STRENGTHS)
    assert 0 < facts["samples"] <= facts["calls"]
    assert list(manifest["verification"]) == ["text_encoder", "vae_encoder", "unet", "vae_decoder"]
    assert cli.main(["info", str(folder)]) == cli.main(["doctor", str(folder)]) == 0
    assert f"{facts['samples']} samples" in capsys.readouterr().out


def test_adapters_are_refused(made, tmp_path):
    rng, layer = np.random.default_rng(0), "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors, _ = adapter_files.lora(rng, (32, 32, 1, 1))
    file = stored.write(tmp_path / "film.safetensors", {f"{layer}.{name}": array for name, array in tensors.items()})
    with pytest.raises(InputError, match="measured without adapters"):
        partway.load(made[0]).img2img(Image.new("RGB", (64, 64)), "warm light", loras={file: 0.8})


def test_samples_cover_the_noise_levels(recorded):
    _, (samples, facts) = recorded
    times = [float(sample["timestep"]) for sample in samples]
    assert len(samples) == facts["samples"] <= calibrate.SAMPLES
    assert times == sorted(times, reverse=True)
    assert times[0] > 850 and times[-1] < 50
    assert max(np.abs(np.diff(times))) < 150
    assert samples[0]["sample"].shape == (2, 4, 32, 32)  # with and without the prompt, at the model's own size
    spreads = [float(sample["sample"].std()) for sample in samples]
    assert min(spreads) > 0.3  # latents, not zeros


@pytest.mark.parametrize(
    ("kind", "rows", "extra"),
    [({"instruct": True}, (3, 8), set()), ({"guidance_width": 8}, (1, 4), {"timestep_cond"})],
)
def test_models_that_take_more_are_recorded_at_their_task(tmp_path, monkeypatch, kind, rows, extra):
    monkeypatch.setattr(calibrate, "STRENGTHS", (0.5, 1.0))
    folder = toy.build(tmp_path / "toy", **kind)
    samples, facts = calibrate.calibrate(folder, "toy", calibrate.material(None))
    assert facts["calls"] >= facts["samples"] == len(samples) == calibrate.SAMPLES
    assert samples[0]["sample"].shape[:2] == rows
    assert set(samples[0]) == {"sample", "timestep", "encoder_hidden_states", *extra}


def test_the_same_samples_give_the_same_file(recorded, tmp_path):
    folder, (samples, _) = recorded
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / "unet/model.onnx", tmp_path / name)
        quantise.quantise_onnx(tmp_path / name / "model.onnx", samples[::8])
        assert [path.name for path in (tmp_path / name).iterdir()] == ["model.onnx"]
    one, other = ((tmp_path / name / "model.onnx").read_bytes() for name in ("a", "b"))
    assert one == other


def test_weights_beyond_two_gigabytes_lie_beside_it(recorded, tmp_path, monkeypatch):
    folder, (samples, _) = recorded
    monkeypatch.setattr(onnx_file, "LIMIT", 0)  # as if they were that many
    onnx_file.write(onnx_file.read(folder / "unet/model.onnx"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx_data").exists()
    quantise.quantise_onnx(tmp_path / "model.onnx", samples[::4])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx_data"]
    inputs, expected = golden(folder)
    assert decibels(expected, RUN["onnx"](tmp_path / "model.onnx", inputs)["out_sample"]) > NEEDED


def test_layers_that_stay_in_float():
    names = [f"/up_blocks.{level}/resnets.0/conv1/Conv" for level in range(3)]
    edges = ["/conv_in/Conv", "/time_embedding/linear_1/Gemm", "/down_blocks.0/resnets.0/time_emb_proj/Gemm"]
    inner = ["/mid_block/attentions.0/proj_in/Conv", "/up_blocks.2/attentions.0/transformer_blocks.0/attn1/to_q/MatMul"]
    assert in_float([*names, *edges, *inner]) == [names[-1], *edges]
    dotted = [f"__module.up_blocks.{level}.resnets.1.conv2/aten::_convolution/Convolution" for level in range(4)]
    assert in_float([*dotted, "__module.conv_out/aten::_convolution/Convolution"]) == [
        dotted[-1],
        "__module.conv_out/aten::_convolution/Convolution",
    ]


def test_what_a_folder_lacks_is_built_in(tmp_path, pictures):
    drawn = calibrate.material(None)
    assert len(drawn.pictures) == len(drawn.names) == 4 and drawn.prompts == calibrate.PROMPTS
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    assert calibrate.material(tmp_path)._replace(pictures=()) == (
        (),
        drawn.names,
        ("one", "two"),
    )
    given = calibrate.material(pictures)
    assert (given.names, given.pictures[0].size) == (("one.png",), (320, 240))


@pytest.mark.parametrize(
    ("name", "contents", "words"),
    [
        (None, b"", "there is no folder"),
        ("notes.md", b"x", "neither pictures nor prompts.txt"),
        ("broken.png", b"x", "broken.png"),
        ("prompts.txt", b"\xff", "one prompt a line"),
    ],
)
def test_a_folder_of_no_use_is_refused_before_the_work(tiny_model, tmp_path, capsys, name, contents, words):
    if name:
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / name).write_bytes(contents)
    options = ["--weights", "w8a8", "--calibration", str(tmp_path / "given")]
    assert cli.main(["export", str(tiny_model("sd1")), str(tmp_path / "out"), *options]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("partway: error: ") and words in line and "\n" not in line
    assert [path.name for path in tmp_path.iterdir()] == (["given"] if name else [])


def test_other_weights_are_not_calibrated(tiny_model, pictures, tmp_path):
    with pytest.raises(InputError, match="only weights 'w8a8' are calibrated"):
        export(tiny_model("sd1"), tmp_path / "out", calibration=pictures)
