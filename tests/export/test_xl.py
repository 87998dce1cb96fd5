"""SDXL packages: both text encoders, what the UNet is told besides, a refiner's missing parts, optimum's folders."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

import partway
from export_graphs import FILES, RUN, decibels
from partway.budget.activations import Work
from partway.budget.footprint import loads
from partway.budget.weights import weights
from partway.cli import main
from partway.engines import EngineOptions
from partway.model import doctor
from partway.model.package import open_package

NETWORKS = ["text_encoder", "text_encoder_2", "vae_encoder", "unet", "vae_decoder"]
EXPORTS = [
    "sdxl onnx fp16",
    pytest.param("sdxl openvino int8", marks=pytest.mark.thorough),
    "sdxl-refiner onnx int8",
    pytest.param("vega openvino fp32", marks=pytest.mark.thorough),
    "sdxl onnx fp32",
    pytest.param("ssd-1b openvino fp32", marks=pytest.mark.thorough),
]
PROMPT = "a cat on the sand"


@pytest.fixture(scope="session")
def made(exported):
    return lambda name: exported(*name.split()).folder


@pytest.mark.parametrize("name", EXPORTS)
def test_doctor_finds_nothing(made, name, capsys):
    folder = made(name)
    manifest = json.loads((folder / "partway.json").read_text())
    wanted = NETWORKS[1:] if "refiner" in name else NETWORKS
    assert list(manifest["verification"]) == list(manifest["goldens"]) == wanted
    assert main(["doctor", str(folder), "--engine", "openvino"]) == 0
    checked = capsys.readouterr().out
    assert all(f"{network} " in checked for network in wanted)


@pytest.mark.parametrize("name", ["sdxl onnx fp32", "sdxl-refiner onnx int8"])
def test_goldens_hold_what_the_runtime_takes(made, name):
    folder = made(name)
    unet = np.load(folder / "goldens/unet.npz")
    told = 5 if "refiner" in name else 6
    assert unet["inputs/time_ids"].shape == (1, told)
    second = np.load(folder / "goldens/text_encoder_2.npz")
    np.testing.assert_array_equal(second["outputs/text_embeds"], unet["inputs/text_embeds"])
    layers = [second["outputs/hidden_states.2"]]
    if "refiner" not in name:
        layers.insert(0, np.load(folder / "goldens/text_encoder.npz")["outputs/hidden_states.1"])
    np.testing.assert_array_equal(np.concatenate(layers, axis=-1), unet["inputs/encoder_hidden_states"])


def test_memory_of_eight_bits_counts_what_onnxruntime_copies(made):
    """At SDXL's size, 2.57 GB of weights: 2.51 GB in memory once the UNet is open, 3.05 with precision "fastest"."""
    package = open_package(made("sdxl-refiner onnx int8"))
    size = weights(package, "unet").size
    found = loads(package, "onnxruntime", Work((16, 16), (16, 16), 1, released=True), EngineOptions(release=True))
    assert 0.25 * size < found["unet"].held - 10e6 and 0.3 * size <= found["unet"].loading - 10e6


@pytest.mark.parametrize(("height", "width"), [(8, 12), (13, 10)])
def test_unet_equals_torch_at_any_size_and_batch(made, tiny_model, height, width):
    folder, rng = made("sdxl onnx fp32"), np.random.default_rng(0)
    unet = StableDiffusionXLPipeline.from_pretrained(tiny_model("sdxl")).unet
    inputs = {
        "sample": rng.normal(size=(2, 4, height, width)).astype(np.float32),
        "timestep": np.array(321.5, np.float32),
        "encoder_hidden_states": rng.normal(size=(2, 77, unet.config.cross_attention_dim)).astype(np.float32),
        "text_embeds": rng.normal(size=(2, 40)).astype(np.float32),
        "time_ids": rng.integers(0, 1024, (2, 6)).astype(np.float32),
    }
    sample, timestep, text, pooled, sizes = (torch.tensor(value) for value in inputs.values())
    with torch.no_grad():
        added = {"text_embeds": pooled, "time_ids": sizes}
        expected = unet(sample, timestep, text, added_cond_kwargs=added).sample.numpy()
    assert decibels(expected, RUN["onnx"](folder / "unet" / FILES["onnx"], inputs)["out_sample"]) > 110


def test_layout_of_a_refiner(made, tiny_model):
    folder, source = made("sdxl-refiner onnx int8"), tiny_model("sdxl-refiner")
    assert not (folder / "text_encoder").exists() and not (folder / "tokenizer").exists()
    for path in ("tokenizer_2/vocab.json", "tokenizer_2/tokenizer_config.json", "scheduler/scheduler_config.json"):
        assert (folder / path).read_bytes() == (source / path).read_bytes()
    assert json.loads((folder / "text_encoder_2/config.json").read_text())["projection_dim"] == 40


@pytest.mark.parametrize("name", ["sdxl onnx fp32", "vega openvino fp32"])
def test_optimum_draws_the_same_picture_from_it_as_diffusers(made, tiny_model, name):
    if "onnx" in name:
        from optimum.onnxruntime import ORTStableDiffusionXLPipeline

        exported = ORTStableDiffusionXLPipeline.from_pretrained(made(name))
    else:
        from optimum.intel import OVStableDiffusionXLPipeline

        exported = OVStableDiffusionXLPipeline.from_pretrained(
            made(name), ov_config={"INFERENCE_PRECISION_HINT": "f32"}
        )
    pictures = []
    for pipe in (StableDiffusionXLPipeline.from_pretrained(tiny_model(name.split()[0])), exported):
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)
        settings = {"num_inference_steps": 3, "height": 128, "width": 192, "output_type": "np"}
        pictures.append(pipe(PROMPT, generator=torch.Generator().manual_seed(0), **settings).images)
    assert decibels(*pictures) > 80


@pytest.mark.filterwarnings("ignore")  # optimum's tracing warns a lot; ours is kept quiet
@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("sdxl", "text-to-image"),
        pytest.param("sdxl-refiner", "image-to-image", marks=pytest.mark.thorough),
    ],
)
def test_a_folder_that_optimum_exported_runs_as_it_is(tiny_model, tmp_path, kind, task):
    from diffusers import StableDiffusionXLImg2ImgPipeline
    from optimum.exporters.onnx import main_export

    main_export(str(tiny_model(kind)), tmp_path / "out", task=task, library_name="diffusers", do_validation=False)
    picture = np.random.default_rng(0).random((128, 128, 3)).astype(np.float32)
    pipe = partway.load(tmp_path / "out")
    made = pipe.img2img(picture, PROMPT, steps=4, strength=0.5, sampler="euler", schedule="trailing").image
    torchs = StableDiffusionXLImg2ImgPipeline.from_pretrained(
        tiny_model(kind), requires_aesthetics_score=kind == "sdxl-refiner"
    )
    torchs.scheduler = EulerDiscreteScheduler.from_config(torchs.scheduler.config, timestep_spacing="trailing")
    expected = torchs(
        PROMPT, image=picture, strength=0.5, num_inference_steps=4, guidance_scale=7.5,
        generator=torch.Generator().manual_seed(0),
    ).images[0]  # fmt: skip
    error = np.mean((np.asarray(made, float) - np.asarray(expected, float)) ** 2)
    assert error == 0 or 10 * np.log10(255**2 / error) >= 50


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shutil.rmtree(f / "text_encoder_2"), "text_encoder_2/model.onnx is missing"),
        (lambda f: shutil.rmtree(f / "text_encoder"), "text_encoder/model.onnx is missing"),
        (lambda f: shutil.rmtree(f / "tokenizer_2"), "tokenizer_2 lacks"),
        (lambda f: edit(f / "vae_decoder/config.json", latents_mean=[0.1] * 4), "latents with a mean"),
        (lambda f: edit(f / "model_index.json", _class_name="StableDiffusionXLControlNetPipeline"), "partway runs"),
    ],
)
def test_a_package_that_lacks_something_is_refused_in_a_line(made, tmp_path, damage, message):
    folder = shutil.copytree(made("sdxl onnx fp32"), tmp_path / "model")
    damage(folder)
    with pytest.raises(partway.PackageError, match=message) as caught:
        partway.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unet/config.json": {"addition_embed_type": None}}, "unet also needs text_embeds, time_ids"),
        ({"model_index.json": {"requires_aesthetics_score": True}}, "time_ids of shape|unet"),
        ({"model_index.json": {"text_encoder": [None, None]}}, "encoder_hidden_states|unet"),
    ],
)
def test_a_package_that_contradicts_itself_is_refused_in_a_line(made, tmp_path, changes, message):
    folder = shutil.copytree(made("sdxl onnx fp32"), tmp_path / "model")
    for path, fields in changes.items():
        edit(folder / path, **fields)
    with pytest.raises(partway.PartwayError, match=message) as caught:
        partway.load(folder).txt2img(PROMPT, width=64, height=64, steps=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sdxl onnx fp32", {"aesthetic_score": 7.0}, "aesthetic_score is for models like SDXL's refiner"),
        ("sdxl onnx fp32", {"negative_aesthetic_score": 1.0}, "negative_aesthetic_score is for models like"),
        ("sdxl-refiner onnx int8", {"target_size": (64, 64)}, "target_size is for models like SDXL's base"),
    ],
)
def test_what_a_model_is_not_told_is_refused(made, name, settings, message):
    with pytest.raises(partway.InputError, match=message):
        partway.load(made(name)).txt2img(PROMPT, **settings)


def test_latents_are_extended_to_what_the_refiner_needs(made):
    """The base halves its latents twice and the refiner three times, so not every size fits both."""
    base, refiner = (partway.load(made(name)) for name in ("sdxl onnx fp32", "sdxl-refiner onnx int8"))
    settings = {"steps": 4, "sampler": "euler", "schedule": "trailing"}
    first = base.txt2img(PROMPT, width=90, height=64, denoising_end=0.5, **settings)
    assert (first.latents.values.shape, first.latents.size) == ((1, 4, 8, 12), (90, 64))
    assert refiner.img2img(first.latents, PROMPT, denoising_start=0.5, **settings).image.size == (90, 64)


def test_tiles_are_told_their_own_size(made):
    pipe = partway.load(made("sdxl onnx fp32"))
    picture = np.random.default_rng(0).random((64, 160, 3)).astype(np.float32)
    settings = {"steps": 3, "strength": 0.5, "tile": 64, "seed": 3}
    whole = pipe.img2img(picture, PROMPT, **settings)
    same = pipe.img2img(picture, PROMPT, original_size=(64, 64), target_size=(64, 64), **settings)
    other = pipe.img2img(picture, PROMPT, original_size=(160, 64), target_size=(160, 64), **settings)
    assert whole.image.tobytes() == same.image.tobytes() != other.image.tobytes()


def test_a_plan_counts_both_text_encoders(made):
    pipe = partway.load(made("sdxl onnx fp32"))
    for negative, guidance_scale, calls in (("", 5.0, 1), ("dark", 5.0, 2), ("dark", 1.0, 1)):
        settings = {"negative_prompt": negative, "guidance_scale": guidance_scale, "steps": 2}
        plan = pipe.plan(image=False, **settings)
        assert plan.calls["text_encoder"] == plan.calls["text_encoder_2"] == calls
        assert plan == partway.plan(made("sdxl onnx fp32"), image=False, **settings)
        assert plan.in_tiles(3, 3, 3).calls["text_encoder_2"] == calls


def test_psnr_of_the_goldens_is_exact(made):
    package = partway.model.package.open_package(made("vega openvino fp32"))
    engine = partway.engines.open_engine("openvino", package.networks, partway.EngineOptions())
    assert [check.name for check in doctor.check_networks(package, engine) if check.passed] == list(package.networks)


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
