"""Model folders as they lie on the Hub and on disks: old exporters', linked, of two formats, in part, damaged."""

import json
import os
import shutil

import numpy as np
import onnx
import pytest
from PIL import Image

import toy
from partway import InputError, PackageError, load, plan
from partway.engines.external import linked, locations
from partway.model.package import open_package

NETWORKS = ("unet", "text_encoder", "vae_encoder", "vae_decoder")


def change(file, **values):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in (content | values).items() if value is not ...}))


def apart(file, location="model.onnx_data"):
    """Move a graph's larger weights into a file beside it."""
    graph = onnx.load(str(file))
    file.unlink()
    onnx.save_model(graph, str(file), save_as_external_data=True, location=location, size_threshold=100)


def as_openvino(folder, networks=NETWORKS):
    openvino = pytest.importorskip("openvino")
    for network in networks:
        graph = openvino.convert_model(str(folder / network / "model.onnx"))
        openvino.save_model(graph, str(folder / network / "openvino_model.xml"), compress_to_fp16=False)
        (folder / network / "model.onnx").unlink()
    return folder


def made(folder, **options):
    return np.asarray(load(folder, **options).img2img(Image.new("RGB", (64, 64), "teal"), "a", steps=2).image)


@pytest.fixture
def folder(tmp_path):
    return toy.build(tmp_path / "toy")


@pytest.mark.parametrize(
    "family", ["OnnxStableDiffusionPipeline", "StableDiffusionOnnxPipeline", "OVStableDiffusionPipeline"]
)
@pytest.mark.parametrize("openvino", [False, True])
def test_a_folder_without_configurations_runs(folder, family, openvino):
    wanted = made(folder)
    change(folder / "model_index.json", _class_name=family)
    for network in ("unet", "vae_decoder"):
        (folder / network / "config.json").unlink()
    if openvino:
        as_openvino(folder)
    package = open_package(folder)
    assert (package.size, package.vae_scale_factor, package.multiple, package.latent_scale) == (
        (512, 512),
        8,
        64,
        0.18215,
    )
    np.testing.assert_allclose(made(folder), wanted, atol=1)
    assert load(folder, memory_limit="2GB").plan(steps=2).peak_bytes


def test_its_graphs_tell_what_configurations_would(tmp_path):
    folder = toy.build(tmp_path / "toy", inpaint=True, size=(8, 12), guidance_width=16)
    change(folder / "scheduler/scheduler_config.json", prediction_type="v_prediction")
    (folder / "unet/config.json").unlink()
    package = open_package(folder)
    assert (package.inpaints, package.size, package.guidance_width) == (True, (96, 64), 16)
    assert (open_package(folder).config("unet")["cross_attention_dim"], package.guidance) == (toy.WIDTH, "embedded")


def test_without_a_scheduler_config_nobody_knows_its_noise(folder):
    (folder / "scheduler/scheduler_config.json").unlink()
    with pytest.raises(PackageError, match=r"scheduler_config\.json is missing"):
        load(folder)


def test_without_an_encoder_there_is_text_to_image(folder):
    shutil.rmtree(folder / "vae_encoder")
    pipe, picture = load(folder), Image.new("RGB", (64, 64))
    assert pipe.txt2img("a", steps=1).image.size == (64, 64)
    assert pipe.img2img(picture, "a", strength=0).image.tobytes() == picture.tobytes()
    first = pipe.txt2img("a", steps=1)
    assert pipe.img2img(first, "b", steps=2, strength=0.5).image.size == (64, 64)  # its latents need no encoder
    for run in (
        pipe.img2img,
        lambda *given, **more: pipe.inpaint(given[0], Image.new("L", (64, 64), 255), "a", **more),
    ):
        with pytest.raises(InputError, match="no vae_encoder, so it makes pictures from a prompt alone"):
            run(picture, "a", steps=2, strength=0.5)
    with pytest.raises(InputError, match="no vae_encoder"):
        plan(folder)
    shutil.rmtree(folder / "vae_decoder")
    with pytest.raises(PackageError, match="vae_decoder"):
        load(folder)


def test_a_stray_graph_of_the_other_format_does_not_count(folder):
    wanted = made(folder)
    stray = (folder / "unet/model.onnx").read_bytes()
    as_openvino(folder)
    (folder / "unet/model.onnx").write_bytes(stray)
    assert open_package(folder).format == "openvino"
    np.testing.assert_allclose(made(folder), wanted, atol=1)
    for name in ("xml", "bin"):
        (folder / f"text_encoder/openvino_model.{name}").unlink()
    with pytest.raises(PackageError, match=r"text_encoder/openvino_model\.xml is missing"):
        load(folder)


def test_networks_of_both_formats_make_one_model(folder):
    wanted = made(folder)
    as_openvino(folder, ("unet",))
    np.testing.assert_allclose(made(folder), wanted, atol=1)
    with pytest.raises(Exception, match="OpenVINO IR, which onnxruntime cannot read"):
        load(folder, engine="onnxruntime")


def test_a_tensor_may_have_several_names(folder):
    wanted = made(folder)
    as_openvino(folder)
    np.testing.assert_allclose(made(folder), wanted, atol=1)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("way", ["both", "weights alone", "another name", "memory_limit"])
def test_weights_that_are_links_run(folder, tmp_path, engine, way):
    """The Hub's cache holds links into one folder of blobs; people link what they have elsewhere."""
    pytest.importorskip(engine)
    wanted = made(folder, engine=engine)
    name = "weights.pb" if way == "another name" else "model.onnx_data"
    (tmp_path / "blobs").mkdir()
    for network in NETWORKS:
        apart(folder / network / "model.onnx", name)
        for file in (name,) if way == "weights alone" else ("model.onnx", name):
            here, blob = folder / network / file, tmp_path / "blobs" / f"{network}-{file[::-1]}"
            if here.exists():
                shutil.move(here, blob)
                here.symlink_to(os.path.relpath(blob, here.parent))
    assert len(linked(folder / "unet/model.onnx")) == 1
    limit = {"memory_limit": "2GB"} if way == "memory_limit" else {}
    np.testing.assert_allclose(made(folder, engine=engine, **limit), wanted, atol=1)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_weights_that_are_missing_or_cut_are_told(folder, tmp_path, engine):
    pytest.importorskip(engine)
    apart(folder / "unet/model.onnx", "odd.data")
    assert locations(folder / "unet/model.onnx") == {"odd.data"}
    whole = (folder / "unet/odd.data").read_bytes()
    (folder / "unet/odd.data").unlink()
    with pytest.raises(PackageError, match=r"unet/odd\.data is missing"):
        load(folder)
    (tmp_path / "odd.data").write_bytes(whole[:100])
    (folder / "unet/odd.data").symlink_to(tmp_path / "odd.data")
    with pytest.raises(PackageError, match="cannot be loaded"):
        made(folder, engine=engine)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 3438167540\n"


@pytest.mark.parametrize(
    "name",
    [
        "unet/model.onnx",
        "unet/model.onnx_data",
        "model_index.json",
        "tokenizer/vocab.json",
        "tokenizer/tokenizer_config.json",
        "unet/config.json",
    ],
)
@pytest.mark.parametrize(("content", "says"), [(POINTER, "Git LFS pointer"), ("<!DOCTYPE html><html>", "web page")])
def test_what_git_or_a_web_server_left_in_a_file_s_place_is_named(folder, capfd, name, content, says):
    apart(folder / "unet/model.onnx")
    (folder / name).write_text(content)
    with pytest.raises(PackageError, match=says) as caught:
        load(folder)
    assert "\n" not in str(caught.value) and capfd.readouterr().err == ""


def test_a_graph_cut_short_is_told_by_name(folder, capfd):
    whole = (folder / "unet/model.onnx").read_bytes()
    for content in (whole[: len(whole) // 2], b"cut" * 50):
        (folder / "unet/model.onnx").write_bytes(content)
        with pytest.raises(PackageError, match=r"unet.model.onnx cannot be loaded"):
            load(folder, engine="onnxruntime").txt2img("a room", steps=1, width=64, height=64)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 100_000}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": "many"}),
        ("scheduler/scheduler_config.json", {"beta_end": float("nan")}),
        ("unet/config.json", {"block_out_channels": []}),
        ("unet/config.json", {"block_out_channels": ["a", 8]}),
        ("unet/config.json", {"block_out_channels": 8}),
        ("unet/config.json", {"block_out_channels": [8] * 40}),
        ("unet/config.json", {"sample_size": [8, 16, 24]}),
        ("unet/config.json", {"sample_size": -8}),
        ("unet/config.json", {"in_channels": "4"}),
        ("unet/config.json", {"attention_head_dim": [1]}),
        ("unet/config.json", {"down_block_types": 3}),
        ("unet/config.json", {"time_cond_proj_dim": -1}),
        ("vae_decoder/config.json", {"block_out_channels": []}),
        ("vae_decoder/config.json", {"latent_channels": 0}),
        ("vae_decoder/config.json", {"scaling_factor": float("inf")}),
        ("vae_decoder/config.json", {"scaling_factor": [1]}),
        ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "q"}}}),
        ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": {"999999": {"content": "<|endoftext|>"}}}),
        ("tokenizer/tokenizer_config.json", {"additional_special_tokens": 5}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_settings_that_cannot_be_are_one_line(folder, file, values):
    change(folder / file, **values)
    with pytest.raises(PackageError) as caught:
        load(folder).plan(steps=2)
    assert "\n" not in str(caught.value)


def test_an_empty_special_token_is_none(folder):
    wanted = made(folder)
    change(folder / "tokenizer/tokenizer_config.json", additional_special_tokens=[""])
    assert (made(folder) == wanted).all()


def test_a_part_of_a_model_is_told_for_what_it_is(folder, tmp_path):
    for part in ("unet", "unet/model.onnx", "model_index.json", "unet/config.json"):
        with pytest.raises(PackageError, match=r"is a part of the model in .*toy; give that folder"):
            load(folder / part)
    with pytest.raises(PackageError, match=r"holds a model one folder deeper; give .*toy"):
        load(tmp_path)
    (tmp_path / "alone.onnx").write_text("x")
    with pytest.raises(PackageError, match="a folder of several networks"):
        load(tmp_path / "alone.onnx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageError, match=r"model_index\.json is missing"):
        load(tmp_path / "empty")
