"""What comes out computes what torch computes: other sizes, batches and timesteps than it was traced with."""

import json

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from export_graphs import FILES, NEEDED, RUN, decibels, openvino_run, unet_inputs
from partway.engines import EngineOptions
from partway.engines.openvino import OpenVINO

ALL = ["onnx-fp32", "onnx-fp16", "onnx-int8", "openvino-fp32", "openvino-fp16", "openvino-int8"]


def run(made, network, inputs):
    path = made.folder / network / FILES[made.to]
    return RUN[made.to](path, {name: np.asarray(value) for name, value in inputs.items()})


def torchs_unet(made, inputs):
    unet = UNet2DConditionModel.from_pretrained(made.source / "unet")
    with torch.no_grad():
        return unet(**{key: torch.tensor(value) for key, value in inputs.items()}).sample.numpy()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 16, 16), (2, 8, 24), (3, 13, 10)])
def test_unet_equals_torch_at_any_size(package, name, batch, height, width):
    made = package(name)
    inputs = unet_inputs(made, batch, height, width, 500.25)
    expected = torchs_unet(made, inputs)
    assert decibels(expected, run(made, "unet", inputs)["out_sample"]) > NEEDED[made.weights]


@pytest.mark.parametrize("name", ALL)
def test_unet_equals_torch_as_openvino_has_it_for_guidance(package, name):
    """Of a fixed size, and computing once what both rows have in common."""
    made = package(name)
    inputs = unet_inputs(made, 2, 8, 24, 500.25)
    inputs["sample"] = np.repeat(inputs["sample"][:1], 2, axis=0)
    inputs["timestep"] = np.full((1,) * np.ndim(inputs["timestep"]), 500.25, np.float32)
    expected = torchs_unet(made, inputs)
    engine = OpenVINO({"unet": made.folder / "unet" / FILES[made.to]}, EngineOptions(static=True))
    assert decibels(expected, engine.run("unet", inputs)["out_sample"]) > NEEDED[made.weights]
    assert [compiled.adapter.alike.times for compiled in engine._compiled["unet"].values()] == [2]


@pytest.mark.parametrize("name", ["onnx-fp32", "openvino-fp32"])
def test_unet_takes_a_prompt_of_two_chunks(package, name):
    made = package(name)
    inputs = unet_inputs(made, 2, 8, 8, 100, length=154)
    expected = torchs_unet(made, inputs)
    assert decibels(expected, run(made, "unet", inputs)["out_sample"]) > 110


@pytest.mark.parametrize("name", ALL)
def test_timestep_is_not_rounded(package, name):
    made = package(name)
    outputs = [
        run(made, "unet", unet_inputs(made, 1, 16, 16, timestep))["out_sample"] for timestep in (500, 500.5, 501)
    ]
    whole, half, next_whole = outputs
    step = np.abs(next_whole - whole).mean()
    assert np.abs(half - whole).mean() > 0.2 * step
    assert np.abs(half - next_whole).mean() > 0.2 * step


@pytest.mark.parametrize("name", ALL)
def test_vae_encoder_gives_the_moments_of_the_posterior(package, name):
    made = package(name)
    rng = np.random.default_rng(3)
    picture = (rng.random((2, 3, 64, 104)) * 2 - 1).astype(np.float32)
    moments = run(made, "vae_encoder", {"sample": picture})["latent_parameters"]
    vae = AutoencoderKL.from_pretrained(made.source / "vae")
    with torch.no_grad():
        posterior = vae.encode(torch.tensor(picture)).latent_dist
    assert moments.shape == (2, 8, 8, 13)
    assert decibels(posterior.mean.numpy(), moments[:, :4]) > NEEDED[made.weights]
    assert decibels(posterior.logvar.numpy(), np.clip(moments[:, 4:], -30, 20)) > NEEDED[made.weights] - 10


@pytest.mark.parametrize("name", ALL)
def test_vae_decoder_equals_torch(package, name):
    made = package(name)
    latents = np.random.default_rng(4).normal(0, 5, (2, 4, 9, 14)).astype(np.float32)
    vae = AutoencoderKL.from_pretrained(made.source / "vae")
    with torch.no_grad():
        expected = vae.decode(torch.tensor(latents)).sample.numpy()
    assert decibels(expected, run(made, "vae_decoder", {"latent_sample": latents})["sample"]) > NEEDED[made.weights]


@pytest.mark.parametrize("name", ALL)
def test_text_encoder_equals_torch_in_every_hidden_state(package, name):
    made = package(name)
    encoder = CLIPTextModel.from_pretrained(made.source / "text_encoder")
    ids = np.random.default_rng(5).integers(0, encoder.config.vocab_size - 1, (3, 77))
    ids[:, 60:] = encoder.config.eos_token_id
    outputs = run(made, "text_encoder", {"input_ids": ids})
    with torch.no_grad():
        expected = encoder(torch.tensor(ids), output_hidden_states=True)
    assert decibels(expected.last_hidden_state.numpy(), outputs["last_hidden_state"]) > NEEDED[made.weights]
    assert decibels(expected.pooler_output.numpy(), outputs["pooler_output"]) > NEEDED[made.weights]
    for index, state in enumerate(expected.hidden_states):
        assert decibels(state.numpy(), outputs[f"hidden_states.{index}"]) > NEEDED[made.weights]


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-fp16", "onnx-int8"])
@pytest.mark.parametrize("network", ["text_encoder", "vae_encoder", "unet", "vae_decoder"])
def test_openvino_reads_the_onnx_files_too(package, name, network):
    made = package(name)
    path = made.folder / network / "model.onnx"
    golden = np.load(made.folder / json.loads((made.folder / "partway.json").read_text())["goldens"][network])
    inputs = {key.removeprefix("inputs/"): golden[key] for key in golden if key.startswith("inputs/")}
    outputs = openvino_run(path, inputs)
    for key in golden:
        if key.startswith("outputs/"):
            assert decibels(golden[key], outputs[key.removeprefix("outputs/")]) > NEEDED[made.weights]


def test_attention_is_one_operator_and_all_others_are_standard(package):
    import onnx

    made = package("onnx-fp32")
    layers = {"unet": UNet2DConditionModel.from_pretrained(made.source / "unet")}
    vae = AutoencoderKL.from_pretrained(made.source / "vae")
    layers |= {"vae_encoder": vae.encoder, "vae_decoder": vae.decoder}
    for network, module in layers.items():
        nodes = onnx.load(made.folder / network / "model.onnx").graph.node
        attention = sum(type(layer).__name__ == "Attention" for layer in module.modules())
        assert [node.op_type for node in nodes if node.domain] == ["MultiHeadAttention"] * attention
        assert attention and not any(node.op_type == "Softmax" for node in nodes)


@pytest.mark.parametrize("name", ALL)
def test_weights_are_as_small_as_they_say(package, name):
    made = package(name)
    unet = UNet2DConditionModel.from_pretrained(made.source / "unet")
    numbers = sum(parameter.numel() for parameter in unet.parameters())
    file = "model.onnx" if made.to == "onnx" else "openvino_model.bin"
    bits = 8 * (made.folder / "unet" / file).stat().st_size / numbers
    assert bits < {"fp32": 35, "fp16": 19, "int8": 11.5}[made.weights]
