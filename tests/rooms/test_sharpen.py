"""The decoder's sharpening: networks, losses, balance, and the way from drawn rooms to a decoder to assemble."""

import itertools
import math
import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("diffusers")

import diffusers
import onnx
import torch

import partway
from models.rooms import (
    autoencoder,
    beside,
    crispness,
    decoders,
    detail,
    drawing,
    put_decoder,
    refit,
    sharpen,
    sharpness,
    take_decoder,
)
from models.rooms.networks import make_tiny_vae, make_vae
from models.rooms.pool import Pool
from models.rooms.training import to_input
from partway.model.doctor import check_files, check_networks
from partway.pictures.metadata import file_hash
from partway_rooms import HELD_OUT, PACKAGES, room
from partway_rooms.renderer import MEDIA, sample_look

SIDE = 64


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return make_vae().eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory, vae):
    """A run folder with an autoencoder and a few rooms drawn."""
    run = tmp_path_factory.mktemp("sharpen")
    vae.save_pretrained(run / "vae")
    folder = run / f"drawn{SIDE}"
    drawing.draw(folder / "check", range(drawing.CHECKS), drawing.CHECK_FROM, SIDE)
    drawing.draw(folder / "pool", range(1), 0, SIDE)
    return run


@torch.no_grad()
def test_the_networks_are_diffusers_own(run, vae):
    encoder, decoder = autoencoder.load_autoencoder(run / "vae")
    x = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    latents = vae.encode(x).latent_dist.mode()
    assert torch.allclose(encoder(x), latents, atol=1e-4)
    assert torch.allclose(decoder(latents), vae.decode(latents).sample, atol=1e-4)
    theirs, ours = make_tiny_vae(), autoencoder.TinyDecoder()
    ours.load_state_dict(theirs.decoder.state_dict())
    assert torch.allclose(ours(latents), theirs.decode(latents).sample, atol=1e-4)


def waves(cycles: float) -> torch.Tensor:
    return torch.cos(2 * math.pi * cycles * (torch.arange(SIDE) + 0.5)).expand(1, 3, SIDE, SIDE).contiguous()


def test_a_wave_has_its_energy_in_its_octave():
    fine, second = detail.octave_energies(waves(0.375))[0], detail.octave_energies(waves(0.1875))[0]
    assert fine[0] > 100 * fine[1]
    assert second[1] > 100 * second[0]
    halved = detail.octave_energies(waves(0.375) / 2)[0]
    assert halved[0] / fine[0] == pytest.approx(0.25, rel=1e-4)


def test_the_octaves_of_the_loss_are_those_of_the_measure():
    fine, second = sharpness.octaves(waves(0.375))
    assert fine.square().mean() > 100 * second.square().mean()


def test_blur_costs_energy_and_what_is_right_costs_nothing():
    x = to_input(np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert all(loss > 0.1 for loss in sharpness.energy_losses(blurred, x))
    assert all(loss == 0 for loss in sharpness.energy_losses(x, x))


def test_sharpened_edges_overshoot_and_blurred_ones_do_not():
    x = torch.ones(1, 3, SIDE, SIDE)
    x[..., SIDE // 2 :] = -0.5
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    assert detail.overshoot(blurred, x) == 0
    assert detail.overshoot(x + (x - blurred), x) > 0.1


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_grid_has_its_peak(period):
    x = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    marked = x.clone()
    marked[:, :, ::period] += 1
    assert detail.grid_peaks(x, period).mean() < 1.5
    assert detail.grid_peaks(marked, period).mean() > 3


def test_the_frechet_distance_of_moved_features_is_how_far_they_moved():
    a = np.random.default_rng(0).standard_normal((500, 6))
    assert detail.frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert detail.frechet(a, a + 2) == pytest.approx(24, rel=1e-6)


def test_each_loss_has_its_share_of_the_gradient():
    y = torch.randn(2, 3, 8, 8, requires_grad=True)
    losses = {"small": 1e-3 * y.square().sum(), "large": 1e3 * y.sum(), "off": y.exp().sum()}
    weights = {"small": 1.0, "large": 0.0, "off": 0.0}
    assert sharpness.Balance()(losses, weights, y).norm() == pytest.approx(1, rel=1e-4)
    weights = {"small": 0.0, "large": 0.5, "off": 0.0}
    assert sharpness.Balance()(losses, weights, y).norm() == pytest.approx(0.5, rel=1e-4)


def test_steering_asks_for_what_is_missing():
    steering = sharpness.Steering(floor=27.0, share=0.85)
    before = steering.weights(1.0)
    steering(26.5, [0.5, 0.95])
    after = steering.weights(1.0)
    assert after["octave 0"] > before["octave 0"]
    assert after["octave 1"] < before["octave 1"]
    assert after["critic"] < before["critic"]
    assert steering.weights(0.0)["critic"] == 0


def test_the_pool_holds_pictures_with_their_latents(run):
    encoder, _ = autoencoder.load_autoencoder(run / "vae")
    pool = Pool(run / f"drawn{SIDE}", torch.no_grad()(encoder), side=SIDE, size=50, device="cpu")
    pool.grow()
    pool.grow()
    assert pool.count == drawing.CHUNK
    latents, x = pool.batch(6)
    with torch.no_grad():
        assert torch.allclose(encoder(x), latents, atol=1e-4)


@pytest.mark.thorough
def test_it_trains_resumes_and_gives_a_decoder_to_assemble(run, vae, monkeypatch):
    monkeypatch.setattr(drawing, "start", lambda *_: [])
    ticks = itertools.count(0.0, 1.0)
    monkeypatch.setattr(sharpen.time, "time", lambda: next(ticks))  # a second for each look at the clock
    flags = ["--side", str(SIDE), "--batch", "2", "--pool", "50", "--first", "8", "--sharper", "0.05", "--tiny", "0.05"]
    for minutes in ("0.8", "1.2"):
        monkeypatch.setattr(sys, "argv", ["sharpen", "--run", str(run), "--minutes", minutes, *flags])
        sharpen.main()
    assert (run / "sharpen.png").exists()
    monkeypatch.setattr(sys, "argv", ["take_decoder", "--run", str(run)])
    take_decoder.main()
    new = diffusers.AutoencoderKL.from_pretrained(run / "tuned_vae").state_dict()
    same = {name for name, value in vae.state_dict().items() if torch.equal(value, new[name])}
    assert all(name in same for name in new if name.startswith(("encoder.", "quant_conv.")))
    assert not any(name in same for name in new if name.startswith("decoder.") and "conv1.weight" in name)
    tiny = make_tiny_vae().state_dict()
    assert {name for name in tiny if name.startswith("decoder.")} == set(
        take_decoder.load_file(run / "tiny_decoder.safetensors")
    )


def test_a_decoder_is_put_into_a_package_and_the_one_that_shares_it(tmp_path, run):
    for name in ("package", "few_steps"):
        shutil.copytree(PACKAGES / name, tmp_path / name)
    before = {path: file_hash(path) for path in tmp_path.rglob("*") if path.is_file()}
    _, decoder = autoencoder.load_autoencoder(run / "vae")
    assert put_decoder.put_decoder(tmp_path / "package", decoder) > 35
    changed = {str(path.relative_to(tmp_path)) for path, value in before.items() if file_hash(path) != value}
    both = {
        f"{name}/{file}" for name in ("package", "few_steps") for file in (put_decoder.GOLDEN, put_decoder.MANIFEST)
    }
    assert changed == both | {f"package/{put_decoder.GRAPH}"}
    for name in ("package", "few_steps"):
        pipe = partway.load(tmp_path / name, engine="onnxruntime")
        assert all(check.passed for check in check_files(pipe.package))
        assert all(check.passed for check in check_networks(pipe.package, pipe.engine))


def test_the_last_layer_is_solved_for_the_detail_that_is_wanted(run):
    encoder, decoder = autoencoder.load_autoencoder(run / "vae")
    pictures = [to_input(np.asarray(room(number, size=SIDE).picture)[None]) for number in range(3)]
    with torch.no_grad():
        rooms = [refit.sums(decoder, encoder(x), x) for x in pictures]
        y = decoder(encoder(pictures[0]))
    last = decoder.decoder.conv_out
    first = torch.cat([last.weight.flatten(1), last.bias[:, None]], 1).T.double().detach()
    assert 4 * rooms[0].mse(first) == pytest.approx(float((y - pictures[0]).square().mean()), rel=1e-4)
    kept = detail.octave_energies(y) / detail.octave_energies(pictures[0])
    assert rooms[0].kept(first).tolist() == pytest.approx(kept[0].tolist(), rel=1e-3)
    best, wanted = refit.solved(rooms, first, (0.0, 0.0)), (0.5, 0.6)
    crisp = refit.refit(rooms, first, wanted)
    assert refit.figures(rooms, best)[0] > refit.figures(rooms, crisp)[0] > refit.figures(rooms, first)[0]
    assert refit.figures(rooms, crisp)[1].tolist() == pytest.approx(wanted, abs=0.03)


def test_a_weight_without_a_place_in_the_package_is_named():
    model = onnx.load(PACKAGES / "package" / put_decoder.GRAPH)
    with pytest.raises(SystemExit, match=r"decoder has no decoder\.conv_wide\.weight"):
        put_decoder.put(model, {"decoder.conv_wide.weight": np.zeros((1, 1, 1, 1), np.float32)})


def test_latents_are_made_once_for_all_decoders_and_drawn_as_a_run_draws_them():
    pipe, latents = partway.load("rooms-lcm", engine="onnxruntime"), {}
    given = {"seed": 3, "strength": 0.5, "steps": 2}
    whole = pipe.img2img(room(4).picture, "a loft", **given).image
    drawn = decoders.Decoded(pipe, pipe, latents).img2img(room(4).picture, "a loft", **given).image
    assert drawn.tobytes() == whole.tobytes()
    again = decoders.Decoded(None, pipe, latents).img2img(room(4).picture, "a loft", **given).image
    assert again.tobytes() == whole.tobytes()


def test_the_power_of_a_wave_is_that_of_its_luma():
    halved = detail.octave_energies(waves(0.375) / 2, gradient=False)[0]
    assert halved[0] / detail.octave_energies(waves(0.375), gradient=False)[0][0] == pytest.approx(0.25, rel=1e-4)
    gradient = detail.octave_energies(waves(0.375))[0][0] / detail.octave_energies(waves(0.375), gradient=False)[0][0]
    assert gradient == pytest.approx(0.375**2, rel=0.05)


def test_a_sheet_shows_every_medium_alike():
    chosen = [sample_look(HELD_OUT + number).medium for number in beside.numbers(10)]
    assert chosen == [medium for medium in MEDIA for _ in range(2)]


def test_a_summary_takes_medians_of_shares_and_means_of_the_rest():
    rows = [{"psnr": p, "kept_finest": k, "grid_2": g} for p, k, g in ((20, 0.1, 0), (22, 0.2, 1), (30, 0.9, 2))]
    assert crispness.summary(rows) == pytest.approx({"psnr": 24, "kept_finest": 0.2, "grid_2": math.e})
