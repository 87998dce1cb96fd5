"""Networks that are built against torch's: every kind, stored type and engine, at a size of no power of two."""

from functools import cache

import diffusers
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import tiny
from partway.building.parts import segments, shallow
from partway.building.text import text_encoder
from partway.building.tiny_vae import tiny_decoder, tiny_encoder
from partway.building.unet import unet
from partway.building.vae import vae_decoder, vae_encoder
from partway.checkpoints.safetensors import read_header
from partway.engines import EngineOptions, open_engine
from partway.engines.streamed import Streamed
from partway.graphs import DEEP, SHALLOW

ENGINES = ["onnxruntime", "openvino"]
TYPES = ["float32", "float16", "bfloat16"]
WITHIN = 5e-6  # of the largest number


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(name, module, type)``: the module with its weights rounded to that type, and a file of them."""
    root = tmp_path_factory.mktemp("modules")

    def get(name, module, dtype):
        for parameter in module.parameters():
            parameter.data = parameter.data.to(getattr(torch, dtype))
        path = root / f"{name}-{dtype}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
        return module.float().eval(), read_header(path).weights

    return get


def uneven(module):
    """Norms of 1 and biases of 0 would hide mistakes."""
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return module


@cache
def normal(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def assert_equal(found, wanted):
    wanted = wanted.detach().numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= WITHIN * max(1, np.abs(wanted).max())


@pytest.fixture(scope="module")
def a_unet(made):
    @cache
    def get(kind, dtype):
        torch.manual_seed(0)
        config = {"sample_size": 32, "in_channels": tiny._channels(kind), "norm_num_groups": 8, **tiny._UNETS[kind]}
        module, weights = made(kind, uneven(diffusers.UNet2DConditionModel(**config)), dtype)
        inputs = {
            "sample": normal(2, config["in_channels"], 20, 31),
            "timestep": np.float32([621.3]),
            "encoder_hidden_states": normal(2, 7, config["cross_attention_dim"]),
        }
        more = {"timestep_cond": normal(2, tiny.WIDTH)} if "time_cond_proj_dim" in config else {}
        if "addition_embed_type" in config:
            ids = [512, 640, 0, 8, 512, 640][: 5 if kind == "sdxl-refiner" else 6]
            more |= {"text_embeds": normal(2, tiny.DIM_2), "time_ids": np.float32([ids, ids])}
        told = {name: torch.from_numpy(array) for name, array in more.items()}
        with torch.no_grad():
            wanted = module(
                *map(torch.from_numpy, inputs.values()),
                timestep_cond=told.pop("timestep_cond", None),
                added_cond_kwargs=told or None,
            ).sample
        return unet(weights, module.config), inputs | more, wanted

    return get


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *((kind, "float32") for kind in ("sd1", "lcm", "sd2", "sdxl")),
        *(
            pytest.param(kind, "float32", marks=pytest.mark.thorough)
            for kind in ("sd1-inpaint", "sdxl-refiner", "ssd-1b", "vega")  # whose layers are those of others
        ),
        *zip(("sd1", "sdxl"), TYPES[1:], strict=True),
        *(pytest.param(*case, marks=pytest.mark.thorough) for case in zip(("sdxl", "sd1"), TYPES[1:], strict=True)),
    ],
)
def test_the_unet_whole_shallow_and_in_segments(a_unet, kind, dtype, engine):
    network, inputs, wanted = a_unet(kind, dtype)
    parts = {f"unet_segment_{index}": part for index, part in enumerate(segments(network, 3))}
    opened = open_engine(engine, {"unet": network, SHALLOW: shallow(network), **parts}, EngineOptions())
    whole = opened.run("unet", inputs)
    assert list(whole) == ["out_sample", DEEP]
    assert_equal(whole["out_sample"], wanted)
    above = opened.run(SHALLOW, inputs | {DEEP: whole[DEEP]})
    assert np.abs(above["out_sample"] - whole["out_sample"]).max() <= 1e-6
    streamed = Streamed(opened, list(parts)).run("unet", inputs)
    assert list(streamed) == ["out_sample", DEEP]
    assert all(np.abs(streamed[name] - whole[name]).max() <= 1e-6 for name in whole)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_vae_both_ways(made, engine, dtype):
    torch.manual_seed(0)
    module = diffusers.AutoencoderKL(
        block_out_channels=(32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=2,
        norm_num_groups=8,
    )
    module, weights = made("vae", uneven(module), dtype)
    networks = {"vae_encoder": vae_encoder(weights, module.config), "vae_decoder": vae_decoder(weights, module.config)}
    assert weights.keys() == networks["vae_encoder"].weights.keys() | networks["vae_decoder"].weights.keys()
    opened = open_engine(engine, networks, EngineOptions())
    pixels, latents = normal(2, 3, 48, 68), normal(2, 4, 12, 17)
    with torch.no_grad():
        encoded = module.encode(torch.from_numpy(pixels)).latent_dist.parameters
        decoded = module.decode(torch.from_numpy(latents)).sample
    assert_equal(opened.run("vae_encoder", {"sample": pixels})["latent_parameters"], encoded)
    assert_equal(opened.run("vae_decoder", {"latent_sample": latents})["sample"], decoded)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("cls", "act", "end"),
    [
        ("CLIPTextModel", "quick_gelu", 2),
        ("CLIPTextModelWithProjection", "gelu", 2),
        ("CLIPTextModelWithProjection", "gelu", 999),
    ],
)
def test_text_encoders(made, engine, cls, act, end):
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        hidden_size=48, intermediate_size=96, num_attention_heads=4, num_hidden_layers=3, vocab_size=1000,
        hidden_act=act, eos_token_id=end, projection_dim=40, bos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    module, weights = made(f"{cls}-{end}", uneven(getattr(transformers, cls)(config)), "float32")
    network = text_encoder(weights, config.to_dict())
    assert network.weights.keys() == weights.keys()
    ids = np.random.default_rng(0).integers(3, 998, (2, 77))
    ids[0, 9:], ids[1, 76] = 999, 999
    with torch.no_grad():
        wanted = module(torch.from_numpy(ids), output_hidden_states=True)
    found = open_engine(engine, {"text": network}, EngineOptions()).run("text", {"input_ids": ids})
    assert_equal(found["last_hidden_state"], wanted.last_hidden_state)
    for index, state in enumerate(wanted.hidden_states):
        assert_equal(found[f"hidden_states.{index}"], state)
    if "text_embeds" in wanted:
        assert_equal(found["text_embeds"], wanted.text_embeds)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tiny_autoencoder_both_ways(made, engine):
    torch.manual_seed(0)
    module, weights = made("taesd", uneven(diffusers.AutoencoderTiny()), "float32")
    networks = {"tiny_encoder": tiny_encoder(weights), "tiny_decoder": tiny_decoder(weights)}
    assert weights.keys() == networks["tiny_encoder"].weights.keys() | networks["tiny_decoder"].weights.keys()
    opened = open_engine(engine, networks, EngineOptions())
    pixels, latents = normal(2, 3, 48, 64), normal(2, 4, 6, 8)
    with torch.no_grad():
        encoded, decoded = (
            module.encode(torch.from_numpy(pixels)).latents,
            module.decode(torch.from_numpy(latents)).sample,
        )
    assert_equal(opened.run("tiny_encoder", {"sample": pixels})["latents"], encoded)
    assert_equal(opened.run("tiny_decoder", {"latent_sample": latents})["sample"], decoded)
