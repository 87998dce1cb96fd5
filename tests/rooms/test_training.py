"""The training scripts: a run that is stopped and resumed ends where an uninterrupted one does; the parts fit."""

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from models.rooms import (  # noqa: E402
    assemble,
    distill,
    latents,
    looks,
    probe,
    renders,
    restore,
    restyle,
    structure,
    train_decoder,
    train_tiny_vae,
    train_unet,
    train_vae,
    training,
)
from models.rooms.evaluate import overlap  # noqa: E402
from models.rooms.networks import TOKENS, make_vae  # noqa: E402
from models.rooms.tokenizer import captions, learn_merges, write_tokenizer  # noqa: E402
from partway.model.doctor import psnr  # noqa: E402
from partway_rooms import FOLDER, HELD_OUT  # noqa: E402
from partway_rooms.renderer import render, sample_layout, sample_look  # noqa: E402

ROOMS = 64
SIDE = 16  # of the latents that are trained on, half of the model's own: a quarter of the work


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a small tokenizer, an untrained autoencoder and made-up latents."""
    folder = tmp_path_factory.mktemp("run")
    write_tokenizer(folder / "tokenizer", learn_merges((t for i in range(ROOMS) for t in captions(i, 1)), 200))
    torch.manual_seed(0)
    make_vae().save_pretrained(folder / "vae")
    latents.check_owner(folder)
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((ROOMS, 4, SIDE, SIDE)).astype(np.float16) * 3
    tokens = np.tile(train_unet.empty_tokens(folder), (ROOMS, 4, 1)).astype(np.uint16)
    np.savez(latents.latents_path(folder, 0), latents=drawn, tokens=tokens)
    return folder


def do(module, run, monkeypatch, *arguments):
    """Runs a script's main with the run folder."""
    monkeypatch.setattr(sys, "argv", ["script", "--run", str(run), "--threads", "1", *arguments])
    module.main()


def test_the_tokenizer_knows_the_captions_and_any_text(run):
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(run / "tokenizer")
    for text in (captions(5, 1)[0], "a dragon, 日本 🐉", ""):
        ids = tokenizer(text, padding="max_length", max_length=TOKENS).input_ids
        assert len(ids) == TOKENS
        assert ids[0] == len(tokenizer) - 2 and ids[-1] == len(tokenizer) - 1
        decoded = tokenizer.decode(ids, skip_special_tokens=True)
        assert decoded.replace(" ", "") == text.lower().replace(" ", "")


def test_latents_of_another_autoencoder_are_refused(run):
    path = run / "latents" / "made_with.json"
    mine = path.read_text()
    path.write_text(json.dumps({"sha256": "0"}))
    with pytest.raises(SystemExit, match="another autoencoder"):
        latents.check_owner(run)
    path.write_text(mine)


def test_v_is_what_diffusers_says_it_is(run):
    scheduler = diffusers.DDPMScheduler(**assemble.SCHEDULER)
    data = latents.read_latents(run, 1)
    batch = train_unet.batch_at(data, 0, 4, 1.0, train_unet.empty_tokens(run))
    cumulative = train_unet.alphas()
    assert torch.allclose(scheduler.alphas_cumprod, cumulative, rtol=1e-4)
    a = cumulative[batch.timesteps].view(-1, 1, 1, 1)
    seen = {}

    def unet(x, timesteps, hidden):
        seen["x"] = x
        v = scheduler.get_velocity(batch.latents, batch.noise, timesteps)
        return type("Output", (), {"sample": v})

    loss = train_unet.v_loss(unet, lambda tokens: [None], batch, cumulative)
    assert loss < 1e-6
    assert torch.allclose(seen["x"], scheduler.add_noise(batch.latents, batch.noise, batch.timesteps), atol=1e-3)
    assert a.min() > 0


def test_the_few_step_boundary_is_diffusers_own():
    scheduler = diffusers.LCMScheduler(**assemble.SCHEDULER)
    for t in (19, 499, 999):
        skip, out = scheduler.get_scalings_for_boundary_condition_discrete(t)
        mine = distill.boundary(torch.tensor([t]))
        assert float(mine[0]) == pytest.approx(float(skip), rel=1e-4)
        assert float(mine[1]) == pytest.approx(float(out), rel=1e-4)


def test_a_teacher_step_is_diffusers_ddim(run):
    scheduler = diffusers.DDIMScheduler(**assemble.SCHEDULER, clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(50)
    noise = training.generator(0, 0)
    x, v = (torch.randn((2, 4, 8, 8), generator=noise) for _ in range(2))

    def teacher(x, t, hidden):
        return type("Output", (), {"sample": torch.cat([v, v])})

    texts = (torch.zeros(2, TOKENS, 4), torch.zeros(2, TOKENS, 4))
    for t in (999, 19):
        mine = distill.teacher_step(
            teacher, x, torch.tensor([t] * 2), torch.tensor([t - 20] * 2), texts, train_unet.alphas()
        )
        assert torch.allclose(mine, scheduler.step(v, t, x).prev_sample, atol=2e-4)


def resumed_equals_whole(module, run, monkeypatch, file, pick, *arguments):
    do(module, run, monkeypatch, "--steps", "4", *arguments)
    whole = pick(training.load(run / file))
    (run / file).unlink()
    real = training.rate
    monkeypatch.setattr(training, "rate", lambda step, steps, *rest, **named: real(step, 4, *rest, **named))
    do(module, run, monkeypatch, "--steps", "2", *arguments)
    do(module, run, monkeypatch, "--steps", "4", *arguments)
    again = pick(training.load(run / file))
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def make_up_looks(run):
    """A shard of four rooms in their looks, of noise."""
    made = np.random.default_rng(4).standard_normal((4 * looks.LOOKS, 4, SIDE, SIDE)).astype(np.float16)
    tokens = np.tile(train_unet.empty_tokens(run), (len(made), 4, 1)).astype(np.uint16)
    path = looks.looks_path(run, 0)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, latents=made, tokens=tokens)


@pytest.mark.thorough
def test_the_networks_train_resume_and_assemble(run, monkeypatch):
    small = ("--batch", "2", "--shards", "1", "--report", "1")
    resumed_equals_whole(train_unet, run, monkeypatch, "unet.pt", lambda s: s["averaged"], *small)
    make_up_looks(run)
    resumed_equals_whole(distill, run, monkeypatch, "lcm.pt", lambda s: s["averaged"], *small)
    for few_step in (False, True):
        assemble.pipeline(run, few_step).save_pretrained(run / "pipeline")
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(run / "pipeline", safety_checker=None)
        pipe.set_progress_bar_config(disable=True)
        drawn = pipe("a room", num_inference_steps=2, guidance_scale=2.0, output_type="np").images
        assert drawn.shape == (1, 256, 256, 3)
    looks.looks_path(run, 0).unlink()


def test_looks_of_a_room_are_of_its_layout_and_of_different_styles(run, monkeypatch):
    """The same objects stand at the same places in every look, and half of the looks differ in style alone."""
    for room in range(8):
        found = looks.looks_of(room)
        assert found[0] == sample_look(room) and len({look.style for look in found}) == looks.LOOKS
    monkeypatch.setattr(looks, "ROOMS", 2)
    do(looks, run, monkeypatch, "--shards", "1")
    found = looks.read_looks(run, 1)
    assert found.latents.shape == (2, looks.LOOKS, 4, 32, 32)
    assert found.tokens.shape == (2, looks.LOOKS, latents.VARIANTS, TOKENS)
    vae = diffusers.AutoencoderKL.from_pretrained(run / "vae")
    drawn = render(sample_layout(1), looks.looks_of(1)[2]).pixels
    assert np.allclose(found.latents[1, 2], latents.encode(vae, drawn[None])[0], atol=2e-2)


def test_guidance_leads_to_the_other_look():
    """Where the loss is nothing, the guided estimate of the picture is the other look, whatever the teacher says."""
    rng = np.random.default_rng(3)
    latents_ = rng.standard_normal((3, looks.LOOKS, 4, 8, 8)).astype(np.float16)
    data = latents.Shard(latents_, np.zeros((3, looks.LOOKS, 2, TOKENS), np.int64))
    batch, after = looks.starts(data, 0, 6, 1.5, 3)
    sigmas = train_unet.SIGMAS[batch.timesteps.numpy()]
    assert (np.abs(np.log(sigmas / np.clip(sigmas, *looks.NOISE))) < 0.01).all()
    assert len(np.unique(batch.timesteps)) == 6
    cumulative = train_unet.alphas()
    a = cumulative[batch.timesteps].view(-1, 1, 1, 1)
    said, seen = torch.randn((6, 4, 8, 8), generator=training.generator(0, 1)), []

    def teacher(x, timesteps, hidden):
        seen.append(x)
        return type("Output", (), {"sample": said})

    def unet(x, timesteps, hidden):
        there = (a.sqrt() * x - after) / (1 - a).sqrt()
        return type("Output", (), {"sample": said + (there - said) / restyle.GUIDANCE})

    texts = torch.zeros(1), torch.zeros(1)
    assert restyle.restyle_loss(unet, teacher, texts, batch, after, cumulative) < 1e-9
    guided = said + 7.5 * (unet(seen[0], None, None).sample - said)
    assert torch.allclose(a.sqrt() * seen[0] - (1 - a).sqrt() * guided, after, atol=1e-4)


def test_restyling_resumes_and_is_what_is_assembled(run, monkeypatch):
    make_up_looks(run)
    do(train_unet, run, monkeypatch, "--steps", "1", "--batch", "2", "--shards", "1")
    small = ("--batch", "4", "--shards", "1", "--report", "1")
    resumed_equals_whole(restyle, run, monkeypatch, "restyled.pt", lambda s: s["averaged"], *small)
    kept = training.load(run / "restyled.pt")["averaged"]
    restyled, before = (assemble.trained(run, restyled=one) for one in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(restyled[0].parameters(), kept, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before[0].parameters(), kept, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(restyled[1].parameters(), before[1].parameters(), strict=True))
    (run / "restyled.pt").unlink()


@pytest.fixture
def small_shard(monkeypatch):
    """Pictures of noise for the made-up latents, as many."""
    pixels = np.random.default_rng(1).integers(0, 255, (ROOMS, 8 * SIDE, 8 * SIDE, 3), np.uint8)
    monkeypatch.setattr(train_decoder, "open_shard", lambda run, index: pixels)
    monkeypatch.setattr(train_decoder, "SHARD", ROOMS)


@pytest.mark.usefixtures("small_shard")
def test_the_decoder_trains_alone_and_is_what_is_assembled(run, monkeypatch):
    monkeypatch.setattr(train_decoder, "round_trip_psnr", lambda vae, count: {})
    small = ("--batch", "1", "--shards", "1", "--report", "1")
    resumed_equals_whole(train_decoder, run, monkeypatch, "decoder.pt", lambda s: s["averaged"], *small)
    do(train_unet, run, monkeypatch, "--steps", "1", "--batch", "2", "--shards", "1")
    before = diffusers.AutoencoderKL.from_pretrained(run / "vae").state_dict()
    after = assemble.pipeline(run).vae.state_dict()
    kept = {name for name, value in before.items() if torch.equal(value, after[name])}
    parts = ("encoder.", "quant_conv.")
    assert kept >= {name for name in before if name.startswith(parts)}
    assert not any(name.startswith(("decoder.conv_in", "post_quant_conv")) for name in kept)


@pytest.mark.usefixtures("small_shard")
def test_the_tiny_autoencoder_learns_scaled_latents_and_is_what_export_takes(run, monkeypatch):
    monkeypatch.setattr(train_tiny_vae, "round_trip_psnr", lambda round_trip, count: {})
    small = ("--batch", "2", "--shards", "1", "--report", "1")
    resumed_equals_whole(train_tiny_vae, run, monkeypatch, "tiny_vae.pt", lambda s: s["averaged"], *small)
    vae = diffusers.AutoencoderTiny.from_pretrained(run / "tiny_vae")
    kept = training.load(run / "tiny_vae.pt")["averaged"]
    assert all(torch.equal(a, b) for a, b in zip(vae.parameters(), kept, strict=True))
    first = json.loads((run / "tiny_vae.jsonl").read_text().splitlines()[0])
    assert 0.9 < first["latents"] < 1.3  # untrained it says about nothing, so this is the deviation of what it learns


@pytest.mark.thorough
def test_the_autoencoder_resumes(run, monkeypatch):
    pixels = np.random.default_rng(1).integers(0, 255, (512, 256, 256, 3), np.uint8)
    maps = np.random.default_rng(2).integers(0, 10, (512, 64, 64), np.uint8)
    monkeypatch.setattr(train_vae, "open_shard", lambda run, index: pixels)
    monkeypatch.setattr(train_vae, "shard_maps", lambda run, index: maps)
    monkeypatch.setattr(train_vae, "STAGES", ((2, 64, 2), (1, 128, 1), (1, 256, 1)))
    monkeypatch.setattr(train_vae, "round_trip_psnr", lambda vae, count: {})
    resumed_equals_whole(train_vae, run, monkeypatch, "vae.pt", lambda s: s["averaged"], "--report", "1")
    assert [train_vae.stage_at(step) for step in (1, 2, 3, 99)] == [(64, 2), (128, 1), (256, 1), (256, 1)]


def test_crops_and_their_objects_are_of_one_place(run, monkeypatch):
    maps = np.random.default_rng(2).integers(0, 200, (512, 64, 64), np.uint8)
    pixels = maps.repeat(4, axis=1).repeat(4, axis=2)[..., None].repeat(3, axis=3)
    monkeypatch.setattr(train_vae, "open_shard", lambda run, index: pixels)
    monkeypatch.setattr(train_vae, "shard_maps", lambda run, index: maps)
    seen, objects = train_vae.batch_at(run, 0, 1)
    shown = ((seen[:, 0, ::4, ::4] + 1) * 127.5).round().long()
    assert objects.shape == (16, 16, 16) and torch.equal(shown, objects)


def test_a_package_s_weights_come_back(tmp_path, monkeypatch):
    """Networks restored from the shipped package compute what the trained ones did, which its goldens keep."""
    monkeypatch.setattr(sys, "argv", ["restore", str(FOLDER), "--run", str(tmp_path)])
    restore.main()
    unet, text_encoder = assemble.trained(tmp_path)
    vae = diffusers.AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert training.load(tmp_path / "vae.pt")["step"] == restore.CROPS

    def golden(name):
        arrays = np.load(FOLDER / "goldens" / f"{name}.npz")
        return [{k.split("/")[1]: torch.from_numpy(arrays[k]) for k in arrays if k.startswith(p)} for p in "io"]

    for name, run_it in (
        ("text_encoder", lambda given: text_encoder(**given)[0]),
        ("unet", lambda given: unet(**given).sample),
        ("vae_encoder", lambda given: vae.encode(given["sample"]).latent_dist.parameters),
        ("vae_decoder", lambda given: vae.decode(given["latent_sample"]).sample),
    ):
        given, said = golden(name)
        with torch.no_grad():
            assert psnr(next(iter(said.values())).numpy(), run_it(given).numpy()) > 35


def test_objects_are_learnt_through_noise():
    """The reader's loss falls on latents that say what is there, and not on latents that do not."""
    noise = training.generator(0, 0)
    objects = torch.randint(0, 4, (4, 8, 8), generator=noise).repeat_interleave(4, 1).repeat_interleave(4, 2)
    telling = torch.nn.functional.one_hot(objects[:, ::2, ::2], 4).permute(0, 3, 1, 2).float()
    losses = []
    for latents_ in (telling, torch.randn(telling.shape, generator=noise)):
        torch.manual_seed(0)
        reader = structure.Reader()
        optimiser = torch.optim.Adam(reader.parameters(), 3e-3)
        for step in range(60):
            loss = structure.structure_loss(reader, latents_, objects, training.generator(1, step))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(loss.item())
    assert losses[0] < 0.8 * losses[1]


def test_pictures_are_drawn_and_encoded_in_shards(run, tmp_path, monkeypatch):
    """Latents of a picture come out the same whether its shard is on disk or has to be drawn."""
    for module in (renders, latents):
        monkeypatch.setattr(module, "SHARD", 4)
    for name in ("tokenizer", "vae"):
        (tmp_path / name).symlink_to(run / name)
    monkeypatch.setattr(sys, "argv", ["renders", "--run", str(tmp_path), "--shards", "1"])
    renders.main()
    pixels = renders.open_shard(tmp_path, 0)
    assert (pixels[2] == renders.picture(2).pixels).all()
    do(latents, tmp_path, monkeypatch, "--shards", "2")
    found = latents.read_latents(tmp_path, 2)
    assert found.latents.shape == (8, 4, 32, 32)
    assert found.tokens.shape == (8, latents.VARIANTS, TOKENS)
    first = np.load(latents.latents_path(tmp_path, 0))["latents"]
    renders.shard_path(tmp_path, 0).unlink()
    latents.latents_path(tmp_path, 0).unlink()
    do(latents, tmp_path, monkeypatch, "--shards", "1")
    assert (np.load(latents.latents_path(tmp_path, 0))["latents"] == first).all()
    assert latents.scaling_factor(tmp_path) == pytest.approx(1 / first.astype(float).std(), rel=1e-6)


def test_the_kept_probe_reads_rooms_that_it_never_saw():
    seeds = range(HELD_OUT, HELD_OUT + 4)
    maps, labels = probe.read(probe.load_probe(), np.stack([renders.picture(seed).pixels for seed in seeds]))
    assert maps.shape == (4, 64, 64) and labels.shape == (4, 3)
    assert np.mean(labels == [probe.true_labels(seed) for seed in seeds]) >= 0.8
    assert np.mean([overlap(found, renders.true_map(seed)) for found, seed in zip(maps, seeds, strict=True)]) > 0.6
