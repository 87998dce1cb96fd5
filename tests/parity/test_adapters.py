"""Models with adapters against diffusers with peft, or with weights merged here by the papers: 50 dB in float32."""

from functools import cache
from hashlib import sha256

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

import adapter_files
import checkpoint_models
import partway
import stored
from likeness import assert_same, source
from partway import cli
from partway.pictures import metadata

PROMPT, NEGATIVE = "a cozy scandinavian living room, warm light!", "dark photo"
ENGINES = ["onnxruntime", "openvino"]
EULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading"}
SETTINGS = {"guidance_scale": 5.0, "negative_prompt": NEGATIVE, "strength": 0.5}
OURS = {**SETTINGS, "steps": 6, "seed": 7, "sampler": "euler", "schedule": "leading"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """``model(kind)``: the folder that holds both forms of a small model; each is made once."""

    @cache
    def get(kind):
        return checkpoint_models.build(tmp_path_factory.mktemp(kind), kind)

    return get


@pytest.fixture
def theirs(model):
    """``theirs(kind)``: diffusers' pipeline, made anew, for adapters change it."""

    def get(kind):
        xl = kind.startswith(("sdxl", "ssd"))
        cls = diffusers.StableDiffusionXLImg2ImgPipeline if xl else diffusers.StableDiffusionImg2ImgPipeline
        more = {} if xl else {"safety_checker": None, "requires_safety_checker": False}
        pipe = cls.from_pretrained(model(kind) / "folder", **more)
        pipe.scheduler = diffusers.EulerDiscreteScheduler(**EULER, steps_offset=1)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return get


@cache
def opened(path, engine):
    return partway.load(path, engine=engine)


def diffusers_made(pipe):
    generator = torch.Generator().manual_seed(7)
    return pipe(PROMPT, image=source(), num_inference_steps=6, generator=generator, **SETTINGS).images


def made(path, engine, loras):
    return opened(path, engine).img2img(source(), PROMPT, loras=loras, **OURS).images


def layers(network, *, kernels=True):
    """The layers that trainers change, by name."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d) if kernels else torch.nn.Linear
    parts = ("attn", "ff.", "proj", "resnets", "samplers", "mlp")
    return {n: m for n, m in network.named_modules() if isinstance(m, kinds) and any(part in n for part in parts)}


def flat(name):
    return name.replace(".", "_")


def texts(pipe):
    names = ("text_encoder", "text_encoder_2")
    return {name: getattr(pipe, name) for name in names if getattr(pipe, name, None) is not None}


def kohya(pipe, seed, *, ranks=(4,), original=False, size=0.04):
    """Tensors under kohya's names for the UNet and the text encoders, with alphas."""
    rng, found = np.random.default_rng(seed), {}
    for index, (name, layer) in enumerate(layers(pipe.unet).items()):
        if original:
            name = checkpoint_models.unet_name(f"{name}.weight", pipe.unet.config).removesuffix(".weight")
        rank = ranks[index % len(ranks)]
        tensors, _ = adapter_files.lora(rng, tuple(layer.weight.shape), alpha=2.0, rank=rank, size=size)
        found |= {f"lora_unet_{flat(name)}.{end}": one for end, one in tensors.items()}
    encoders = texts(pipe)
    for network, encoder in encoders.items():
        start = "lora_te" if len(encoders) == 1 else {"text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}[network]
        for name, layer in layers(encoder).items():
            if "layers." in name:
                tensors, _ = adapter_files.lora(rng, tuple(layer.weight.shape), alpha=2.0, rank=4, size=size)
                found |= {f"{start}_{flat(name)}.{end}": one for end, one in tensors.items()}
    return found


def peft(pipe, seed, size=0.04):
    """Tensors under diffusers' names of today, without alphas."""
    rng, found = np.random.default_rng(seed), {}
    for network, module in {"unet": pipe.unet, **texts(pipe)}.items():
        for name, layer in layers(module, kernels=False).items():
            if "attn" in name:
                tensors, _ = adapter_files.lora(rng, tuple(layer.weight.shape), alpha=None, rank=4, size=size)
                ends = zip(("lora_A.weight", "lora_B.weight"), tensors.values(), strict=True)
                found |= {f"{network}.{name}.{end}": one for end, one in ends}
    return found


def differs(one, other):
    return np.mean((np.asarray(one[0], float) - np.asarray(other[0], float)) ** 2) > 20


FORMS = {
    "kohya": lambda pipe: kohya(pipe, 1, ranks=(4, 2, 8)),
    "original": lambda pipe: kohya(pipe, 2, original=True),
    "peft": lambda pipe: peft(pipe, 3),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("sd1", "kohya"),
        ("sd1", "peft"),
        ("sd2", "kohya"),
        pytest.param("sdxl", "original", marks=pytest.mark.thorough),
        ("sdxl", "peft"),
    ],
)
def test_a_lora_gives_the_picture_that_diffusers_makes_with_it(tmp_path, model, theirs, kind, form, engine):
    pipe = theirs(kind)
    file = stored.write(tmp_path / "film.safetensors", FORMS[form](pipe))
    plain = made(model(kind) / "model.safetensors", engine, {})
    pipe.load_lora_weights(str(tmp_path), weight_name=file.name, adapter_name="film")
    pipe.set_adapters(["film"], [0.8])
    wanted = diffusers_made(pipe)
    assert differs(plain, wanted)
    assert_same(made(model(kind) / "model.safetensors", engine, {file: 0.8}), wanted)


def test_two_at_once_with_weights_apart_in_a_folder(tmp_path, model, theirs):
    pipe = theirs("sd1")
    one, two = (stored.write(tmp_path / f"{seed}.safetensors", kohya(pipe, seed)) for seed in (1, 2))
    for file in (one, two):
        pipe.load_lora_weights(str(tmp_path), weight_name=file.name, adapter_name=f"a{file.stem}")
    pipe.set_adapters(["a1", "a2"], [{"unet": 0.7, "text_encoder": 0.2}, 0.4])
    wanted = diffusers_made(pipe)
    first, second = partway.Lora(one, 0.7, 0.2), partway.Lora(two, 0.4)
    ours = made(model("sd1") / "folder", "onnxruntime", [first, second])
    assert_same(ours, wanted)
    other_way = made(model("sd1") / "folder", "onnxruntime", [second, first])
    assert (np.asarray(other_way[0]) == np.asarray(ours[0])).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_at_once_against_weights_merged_by_the_papers(tmp_path, model, theirs, engine):
    pipe, rng, tensors = theirs("sd1"), np.random.default_rng(4), {}
    every = list(adapter_files.KINDS.values())
    kernels = [*every, *adapter_files.KERNELS.values()]
    for index, (name, layer) in enumerate(layers(pipe.unet).items()):
        shape = tuple(layer.weight.shape)
        if shape[0] % 16 or shape[1] % 4:
            continue
        kinds = kernels if len(shape) == 4 and shape[2] > 1 else every
        own, delta = kinds[index % len(kinds)](rng, shape)
        tensors |= {f"lora_unet_{flat(name)}.{end}": one for end, one in own.items()}
        weight = layer.weight.detach().numpy().astype(np.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight + 0.05 * delta(weight)))
    file = stored.write(tmp_path / "all.safetensors", tensors)
    wanted = diffusers_made(pipe)
    assert differs(made(model("sd1") / "model.safetensors", engine, {}), wanted)
    assert_same(made(model("sd1") / "model.safetensors", engine, {file: 0.05}), wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_weight_0_and_a_removed_adapter_leave_no_trace(tmp_path, model, theirs, engine):
    path = model("sd1") / "model.safetensors"
    file = stored.write(tmp_path / "film.safetensors", kohya(theirs("sd1"), 1))
    before = np.asarray(made(path, engine, {})[0])
    with_it = np.asarray(made(path, engine, {file: 0.8})[0])
    assert (with_it != before).any()
    assert (np.asarray(made(path, engine, {file: 0.0})[0]) == before).all()
    assert (np.asarray(made(path, engine, {})[0]) == before).all()
    always = partway.load(path, engine=engine, loras={file: 0.8})
    assert (np.asarray(always.img2img(source(), PROMPT, **OURS).image) == with_it).all()


def test_a_model_of_another_family_refuses_it_before_anything_runs(tmp_path, model, theirs):
    file = stored.write(tmp_path / "film.safetensors", kohya(theirs("sdxl"), 1))
    pipe = opened(model("sd1") / "model.safetensors", "onnxruntime")
    with pytest.raises(partway.PackageError, match=r"text of width 192.*text of width 64"):
        pipe.img2img(source(), PROMPT, loras={file: 1.0})


def test_the_command_line_records_it_and_repeats_it(tmp_path, model, theirs, monkeypatch, capsys):
    stored.write(tmp_path / "film.safetensors", kohya(theirs("sd1"), 1))
    source().save(tmp_path / "room.png")
    monkeypatch.chdir(tmp_path)
    path = str(model("sd1") / "model.safetensors")
    first = ["img2img", "room.png", PROMPT, "--model", path, "--steps", "4", "-q"]
    assert cli.main([*first, "--lora", "film.safetensors:unet=0.8:te=0.5", "-o", "a.png"]) == 0
    record = metadata.read_parameters("a.png")
    assert record["settings"]["loras"] == [{"file": "film.safetensors", "unet": 0.8, "text": 0.5, "blocks": []}]
    (lora,) = record["loras"]
    assert lora["sha256"] == sha256((tmp_path / "film.safetensors").read_bytes()).hexdigest()
    text = Image.open("a.png").text["parameters"]
    assert f"{PROMPT} <lora:film:0.5:0.8>" in text
    assert f'Lora hashes: "film: {lora["tensors_sha256"][:12]}"' in text
    assert cli.main(["img2img", "room.png", "--from-png", "a.png", "--model", path, "-q", "-o", "b.png"]) == 0
    assert (np.asarray(Image.open("a.png")) == np.asarray(Image.open("b.png"))).all()
    stored.write(tmp_path / "film.safetensors", kohya(theirs("sd1"), 2))
    capsys.readouterr()
    assert cli.main(["img2img", "room.png", "--from-png", "a.png", "--model", path, "-q", "-o", "c.png"]) == 0
    assert "film.safetensors is not the LoRA that this was made with" in capsys.readouterr().err


def test_info_says_what_a_lora_is(tmp_path, theirs, capsys):
    path = stored.write(
        tmp_path / "lcm.safetensors", kohya(theirs("sd1"), 1), {"modelspec.trigger_phrase": "blueprint"}
    )
    assert cli.main(["info", str(path)]) == 0
    said = capsys.readouterr().out
    assert "LoCon" in said and "LoRA" in said
    assert "text of width 64" in said and "blueprint" in said
    assert "sampler lcm, schedule lcm, steps 4, guidance_scale 1.0" in said


def test_a_lora_that_is_none_is_one_line(tmp_path, model, capsys):
    source().save(tmp_path / "room.png")
    path = str(model("sd1") / "model.safetensors")
    code = cli.main(["img2img", str(tmp_path / "room.png"), PROMPT, "--model", path, "--lora", path])
    said = capsys.readouterr().err
    assert code == 2
    assert said.count("\n") == 1 and "is a whole model, and no LoRA" in said
