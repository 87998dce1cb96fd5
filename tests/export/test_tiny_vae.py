"""A tiny autoencoder beside the VAE: its halves compute what diffusers' AutoencoderTiny computes, in runs too."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image

import partway
from export_graphs import decibels
from partway import cli
from partway_export import export


def small(**config):
    widths = {f"{side}_block_out_channels": (16,) * 4 for side in ("encoder", "decoder")}
    return AutoencoderTiny(**widths, num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4, **config)


@pytest.fixture(scope="module")
def taesd(tmp_path_factory):
    """A small AutoencoderTiny of random weights, whose latents follow the picture."""
    torch.manual_seed(0)
    vae = small(latent_channels=4)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.mul_(1.5)
    folder = tmp_path_factory.mktemp("taesd")
    vae.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["onnx-fp32", "openvino-fp16"])
def made(request, tiny_model, taesd, tmp_path_factory):
    to, weights = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param) / "out"
    manifest = export(tiny_model("sd1"), folder, to=to, weights=weights, tiny_vae=taesd)
    assert {"tiny_encoder", "tiny_decoder"} <= set(manifest["verification"])
    return folder, AutoencoderTiny.from_pretrained(taesd), {"fp32": 90, "fp16": 40}[weights]


@pytest.fixture
def picture():
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8)).resize((96, 64), Image.Resampling.BICUBIC)


def test_pictures_and_latents_are_diffusers(made, picture):
    folder, vae, needed = made
    pipe = partway.load(folder)
    networks = partway.model.networks.Networks(pipe.engine, pipe.package, vae="tiny")
    x = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    x = np.concatenate([x, x[:, :, ::-1]])
    with torch.no_grad():
        z = vae.encode(torch.from_numpy(x.copy())).latents
        y = vae.decode(z).sample.numpy()
    posterior = networks.encode_image(x)
    latents = networks.to_latents(posterior, posterior.mean)
    assert decibels(z.numpy(), latents) > needed
    assert decibels(y, networks.decode_image(z.numpy())) > needed


def test_a_run_with_it_calls_it_and_no_other(made, picture):
    folder, vae, needed = made
    pipe = partway.load(folder)
    result = pipe.img2img(picture, "a room", strength=0.5, steps=4, vae="tiny")
    assert {name for name, count in result.plan.calls.items() if count} == set(result.seconds) - {"other", "total"}
    assert result.plan.calls["tiny_encoder"] == result.plan.calls["tiny_decoder"] == 1
    with torch.no_grad():
        pixels = vae.decode(torch.from_numpy(result.latents.values)).sample.numpy()[0]
    wanted = np.clip(pixels.transpose(1, 2, 0) / 2 + 0.5, 0, 1)[: picture.height, : picture.width]
    assert np.abs(np.asarray(result.image) / 255 - wanted).max() < (0.01 if needed > 50 else 0.06)
    other = pipe.img2img(picture, "a room", strength=0.5, steps=4)
    assert other.image.tobytes() != result.image.tobytes()


def test_the_tiny_decoder_goes_behind_the_model_s_own_encoder(made, picture):
    pipe = partway.load(made[0])
    result = pipe.img2img(picture, "a room", strength=0.5, steps=4, vae="tiny-decoder")
    called = {name for name, count in result.plan.calls.items() if count}
    assert called == set(result.seconds) - {"other", "total"} == {"text_encoder", "vae_encoder", "unet", "tiny_decoder"}
    np.testing.assert_array_equal(
        result.latents.values, pipe.img2img(picture, "a room", strength=0.5, steps=4, vae="own").latents.values
    )
    assert result.image.tobytes() == pipe.img2img(result, "a room", strength=0, vae="tiny").image.tobytes()


def test_the_preset_fast_takes_the_tiny_decoder(made):
    assert partway.load(made[0], preset="fast").plan().calls.keys() >= {"vae_encoder", "tiny_decoder"}


def test_previews_are_the_tiny_decoder_s(made, picture):
    options = {"strength": 0.5, "steps": 4, "vae": "tiny-decoder"}
    for step in partway.load(made[0]).stream("a room", picture, **options):
        assert step.preview()[0].tobytes() == step.decode()[0].tobytes()
    for step in partway.load(made[0], memory_limit="8 GB").stream("a room", picture, **options):
        assert step.preview()[0].size == (12, 8)


def test_steps_decode_their_estimate(made, picture):
    pipe = partway.load(made[0])
    for step in pipe.stream("a room", picture, strength=0.5, steps=4, vae="tiny"):
        (seen,) = step.decode()
        assert seen.size == (96, 64)


def test_the_doctor_checks_it(made, capsys):
    assert cli.main(["doctor", str(made[0])]) == 0
    assert "tiny_decoder" in capsys.readouterr().out


def test_what_is_none_or_does_not_fit_is_one_line(tiny_model, taesd, tmp_path, capsys):
    wide = tmp_path / "wide"
    small(latent_channels=8).save_pretrained(wide)
    (tmp_path / "empty").mkdir()
    for source, words in ((wide, "8 channels where the model has 4"), (tmp_path / "empty", "empty has no weights")):
        assert cli.main(["export", str(tiny_model("sd1")), str(tmp_path / "out"), "--tiny-vae", str(source)]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("partway: error: ") and words in line
        assert not (tmp_path / "out").exists()


def test_a_model_without_one_says_so(package):
    pipe = partway.load(package("onnx-fp32").folder)
    for vae, missing in (("tiny", "tiny_encoder"), ("tiny-decoder", "tiny_decoder")):
        with pytest.raises(partway.InputError, match=f"has no {missing}, so no {vae} VAE; export it with one"):
            pipe.plan(vae=vae)
