"""Adapters on exported packages: the merged model's picture, whatever the precision of the stored weights."""

import shutil
from functools import cache
from importlib import import_module
from xml.etree import ElementTree

import diffusers
import numpy as np
import openvino
import pytest
import torch

import adapter_files
import partway
import stored
from likeness import assert_same, source
from partway.model.package import open_package
from partway_export import export

PROMPT = "a cozy scandinavian living room, warm light"
SETTINGS = {"guidance_scale": 5.0, "strength": 0.5}
OURS = {**SETTINGS, "steps": 6, "seed": 7, "sampler": "euler", "schedule": "leading"}
FORMS = [("onnxruntime", "onnx"), ("openvino", "onnx"), ("openvino", "openvino")]


@pytest.fixture(scope="module")
def adapted(exported, tmp_path_factory):
    """A LoRA's file for a small model, and the model's pipeline in diffusers with that merged at 0.8."""
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
        exported("sd1", "onnx", "fp32").source, safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="leading")
    pipe.set_progress_bar_config(disable=True)
    rng, tensors = np.random.default_rng(0), {}
    for start, network in {"lora_unet": pipe.unet, "lora_te": pipe.text_encoder}.items():
        for name, layer in network.named_modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                weight = layer.weight.detach().numpy().astype(np.float64)
                size = 0.15 * float(weight.std())
                own, delta = adapter_files.lora(rng, weight.shape, size=size)
                tensors |= {f"{start}_{name.replace('.', '_')}.{end}": one for end, one in own.items()}
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(weight + 0.8 * delta(weight)))
    return stored.write(tmp_path_factory.mktemp("lora") / "film.safetensors", tensors), pipe


def made(exported, weights, form, loras, **settings):
    engine, to = form
    settings = {**OURS, **settings}
    return opened(exported("sd1", to, weights).folder, engine).img2img(source(), PROMPT, loras=loras, **settings)


@cache
def opened(folder, engine):
    return partway.load(folder, engine=engine)


def decibels(some, others):
    pairs = zip(some, others, strict=True)
    error = np.mean([(np.asarray(one, float) - np.asarray(other, float)) ** 2 for one, other in pairs])
    return 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("form", FORMS)
def test_a_package_gives_the_picture_of_the_merged_model(exported, adapted, form):
    file, pipe = adapted
    generator = torch.Generator().manual_seed(7)
    wanted = pipe(PROMPT, image=source(), num_inference_steps=6, generator=generator, **SETTINGS).images
    plain = made(exported, "fp32", form, {}).images
    assert decibels(plain, wanted) < 35
    assert_same(made(exported, "fp32", form, {file: 0.8}).images, wanted)
    assert (np.asarray(made(exported, "fp32", form, {}).image) == np.asarray(plain[0])).all()


@pytest.mark.parametrize(
    ("weights", "form"),
    [
        *zip(["fp16", "int4", "int8"], FORMS, strict=True),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in zip(["int8", "fp16", "int4"], FORMS, strict=True)
        ),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in zip(["int4", "int8", "fp16"], FORMS, strict=True)
        ),
    ],
)
def test_smaller_weights_are_no_further_away_than_without(exported, adapted, weights, form):
    """Of six pictures together, and with a weight like those of trained adapters, a twentieth of the model's own.

    A model that is changed much is another one, which may be more sensitive to the same errors of its weights.
    """
    file, _ = adapted
    seeds = tuple(range(6))
    without, with_it = (
        decibels(*(made(exported, one, form, loras, seed=seeds).images for one in (weights, "fp32")))
        for loras in ({}, {file: 0.3})
    )
    assert with_it >= without - 1


def test_a_split_package_has_it_in_both_graphs(exported, adapted):
    file, _ = adapted
    package = opened(exported("sd1", "onnx", "int8", split=True).folder, "onnxruntime")
    settings = {**OURS, "steps": 12, "strength": 0.8}
    plain, with_it, whole = (
        package.img2img(source(), PROMPT, loras=loras, reuse=reuse, **settings)
        for loras, reuse in (({}, 0.9), ({file: 0.8}, 0.9), ({file: 0.8}, 0))
    )
    assert with_it.plan.calls["unet_shallow"] > 0
    assert decibels(with_it.images, whole.images) > decibels(with_it.images, plain.images) + 3


@pytest.mark.thorough
def test_a_package_in_segments_has_it_in_each(exported, adapted):
    file, _ = adapted
    folder = exported("sd1", "onnx", "fp32", segments=4).folder
    whole, streamed = (
        partway.load(folder, stream=stream).img2img(source(), PROMPT, loras={file: 0.8}, **OURS)
        for stream in (False, True)
    )
    assert_same(streamed.images, whole.images)


@pytest.mark.thorough
def test_weights_whose_bytes_are_stored_once_change_apart_also_from_a_cache(exported, tmp_path):
    """OpenVINO's writer stores equal constants once; an adapter of one of two equal layers leaves the other alone."""
    model = tmp_path / "model"
    shutil.copytree(exported("sd1", "onnx", "fp32").source, model)
    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    attention = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    attention.to_k.weight = torch.nn.Parameter(attention.to_q.weight.detach().clone())
    unet.save_pretrained(model / "unet")
    export(model, tmp_path / "package", to="openvino", weights="fp32")
    file = tmp_path / "package/unet/openvino_model.xml"
    openvino.save_model(openvino.Core().read_model(file), tmp_path / "new.xml", compress_to_fp16=False)
    stored_once = [
        int(one.get("offset")) for one in ElementTree.parse(tmp_path / "new.xml").iter("data") if one.get("offset")
    ]
    shape = attention.to_k.weight.shape
    assert len(stored_once) > len(set(stored_once))
    for end in (".xml", ".bin"):
        (tmp_path / "new").with_suffix(end).replace(file.with_suffix(end))
    tensors, _ = adapter_files.lora(np.random.default_rng(0), shape, size=1.0)
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k"
    lora = stored.write(tmp_path / "film.safetensors", {f"{name}.{end}": one for end, one in tensors.items()})
    wanted = partway.load(model).img2img(source(), PROMPT, loras={lora: 1}, **OURS)
    plain = partway.load(model).img2img(source(), PROMPT, **OURS)
    for _ in range(2):  # compiled, then from the cache
        pipe = partway.load(tmp_path / "package", engine="openvino", cache_dir=tmp_path / "cache")
        assert_same(pipe.img2img(source(), PROMPT, loras={lora: 1}, **OURS).images, wanted.images)
        assert_same(pipe.img2img(source(), PROMPT, **OURS).images, plain.images)
    assert decibels(plain.images, wanted.images) < 40


@pytest.fixture(scope="module")
def from_optimum(exported, tmp_path_factory):
    """``from_optimum(to)``: the small model's folder as optimum exports it, which has none of our names."""

    @cache
    def get(to):
        source, folder = exported("sd1", "onnx", "fp32").source, tmp_path_factory.mktemp("optimum") / to
        exporters = {"onnx": "optimum.exporters.onnx", "openvino": "optimum.exporters.openvino"}
        more = {"do_validation": False} if to == "onnx" else {}
        export = import_module(exporters[to]).main_export
        export(str(source), folder, task="text-to-image", library_name="diffusers", **more)
        return folder

    return get


@pytest.mark.filterwarnings("ignore")  # optimum's tracing warns a lot
@pytest.mark.parametrize("form", [*FORMS[:2], pytest.param(FORMS[2], marks=pytest.mark.thorough)])
def test_what_optimum_exported_gives_it_too(from_optimum, adapted, form):
    file, pipe = adapted
    engine, to = form
    generator = torch.Generator().manual_seed(7)
    wanted = pipe(PROMPT, image=source(), num_inference_steps=6, generator=generator, **SETTINGS).images
    ours = partway.load(from_optimum(to), engine=engine)
    assert_same(ours.img2img(source(), PROMPT, loras={file: 0.8}, **OURS).images, wanted)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_one_may_become_a_part_of_a_package(exported, adapted, tmp_path, to):
    file, pipe = adapted
    manifest = export(exported("sd1", to, "fp32").source, tmp_path / "out", to=to, weights="fp32", loras={file: 0.8})
    assert [(one["file"], one["unet"]) for one in manifest["loras"]] == [("film.safetensors", 0.8)]
    generator = torch.Generator().manual_seed(7)
    wanted = pipe(PROMPT, image=source(), num_inference_steps=6, generator=generator, **SETTINGS).images
    assert_same(partway.load(tmp_path / "out").img2img(source(), PROMPT, **OURS).images, wanted)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_package_says_which_node_is_which_layer(exported, adapted, to):
    tables = open_package(exported("sd1", to, "int8").folder).manifest["layers"]
    for name, network in {"unet": adapted[1].unet, "text_encoder": adapted[1].text_encoder}.items():
        kinds = (torch.nn.Linear, torch.nn.Conv2d)
        assert set(tables[name].values()) == {one for one, it in network.named_modules() if isinstance(it, kinds)}
