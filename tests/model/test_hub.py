"""Where a model comes from: folders as they are, Hub ids through huggingface_hub, which is stood in for."""

import fnmatch
import json
import shutil
from pathlib import Path

import onnx
import pytest

import toy
from hub import Hub
from partway import InputError, PackageError, load
from partway.model.addresses import Address, parse
from partway.model.hub import locate
from partway.model.wanted import PATTERNS

NETWORKS = ("unet", "text_encoder", "vae_encoder", "vae_decoder")


def test_a_folder_is_taken_as_it_is(toy_folder):
    assert locate(toy_folder) == toy_folder
    assert locate(str(toy_folder)) == toy_folder


def test_a_folder_named_like_an_id_wins_over_the_hub(tmp_path, monkeypatch):
    toy.build(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert load("owner/name").package.family == "StableDiffusionPipeline"


def test_an_id_is_fetched_at_its_revision(toy_folder, monkeypatch):
    asked = {}

    def snapshot_download(repo_id, **wanted):
        asked.update(repo_id=repo_id, **wanted)
        return str(toy_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load("owner/name", revision="abc123").package.root == toy_folder
    assert (asked["repo_id"], asked["revision"]) == ("owner/name", "abc123")


def test_only_the_files_of_a_run_are_fetched():
    def wanted(name, format_):
        return any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS[format_])

    for network in ("unet", "vae_encoder", "vae_decoder", "text_encoder", "text_encoder_2"):
        assert wanted(f"{network}/model.onnx", "onnx") and wanted(f"{network}/model.onnx_data", "onnx")
        assert wanted(f"{network}/openvino_model.xml", "openvino") and wanted(
            f"{network}/openvino_model.bin", "openvino"
        )
        assert not wanted(f"{network}/openvino_model.bin", "onnx") and not wanted(f"{network}/model.onnx", "openvino")
        assert wanted(f"{network}/config.json", "onnx")
    for format_ in PATTERNS:
        assert wanted("tokenizer_2/vocab.json", format_) and wanted("tokenizer_2/merges.txt", format_)
        assert wanted("tokenizer/merges.txt", format_) and wanted("partway.json", format_)
        for other in ("unet/diffusion_pytorch_model.bin", "v1-5-pruned.ckpt", "safety_checker/model.onnx", "x.png"):
            assert not wanted(other, format_)
    assert not wanted("unet/diffusion_pytorch_model.safetensors", "onnx")


def test_without_a_network_it_says_so(tmp_path, monkeypatch):
    """The real huggingface_hub, told to stay offline and with nothing in its cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PackageError, match="neither a folder here nor a model that can be fetched") as caught:
        load("owner/no-such-model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "nowhere", "../a/b", "a//b"])
def test_paths_are_never_looked_up_on_the_hub(name):
    with pytest.raises(PackageError, match="there is no model folder"):
        load(name)


@pytest.mark.parametrize("name", ["dream.safetensors", "models/dream.safetensors", "/models/sd/dream.safetensors"])
def test_a_file_that_is_missing_is_a_file(name):
    with pytest.raises(PackageError, match="cannot be read: No such file"):
        load(name)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("owner/name", ("owner/name", "", None)),
        ("owner/name/", ("owner/name", "", None)),
        ("owner/name@v1.0", ("owner/name", "", "v1.0")),
        ("owner/name@refs/pr/3", ("owner/name", "", "refs/pr/3")),
        ("owner/name/fp16/onnx@main", ("owner/name", "fp16/onnx", "main")),
        ("owner/name/dream.safetensors", ("owner/name", "dream.safetensors", None)),
        ("https://huggingface.co/owner/name", ("owner/name", "", None)),
        ("https://huggingface.co/owner/name/", ("owner/name", "", None)),
        ("huggingface.co/owner/name", ("owner/name", "", None)),
        ("hf://owner/name", ("owner/name", "", None)),
        ("https://hf.co/owner/name/tree/onnx", ("owner/name", "", "onnx")),
        ("https://huggingface.co/owner/name/tree/main/fp16", ("owner/name", "fp16", "main")),
        ("https://huggingface.co/owner/name/blob/main/a.safetensors", ("owner/name", "a.safetensors", "main")),
        (
            "https://huggingface.co/o/n/resolve/main/a.safetensors?download=true",
            ("o/n", "a.safetensors", "main"),
        ),
    ],
)
def test_what_lies_on_the_hub_has_many_names(name, address):
    assert parse(name) == Address(*address)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("https://civitai.com/models/4384/dreamshaper", "from the Hugging Face Hub alone"),
        ("https://huggingface.co/datasets/owner/name", "no address of a model"),
        ("https://huggingface.co/owner", "no address of a model"),
    ],
)
def test_other_addresses_are_told_for_what_they_are(name, words):
    with pytest.raises(PackageError, match=words) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_two_revisions_cannot_be():
    with pytest.raises(InputError, match="give one revision"):
        load("owner/name@a", revision="b")


@pytest.fixture
def both(tmp_path):
    """A repository with both formats and what no run needs."""
    folder = toy.build(tmp_path / "both")
    for network in NETWORKS:
        for name in ("openvino_model.xml", "openvino_model.bin", "diffusion_pytorch_model.bin"):
            (folder / network / name).write_text("gigabytes")
    (folder / "v1-5-pruned.safetensors").write_text("gigabytes")
    return folder


def test_one_format_is_fetched_of_two(both, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache", monkeypatch, me__both=both)
    assert load("me/both").package.format == "onnx"
    assert hub.fetched[0] == "model_index.json"
    assert {Path(name).name for name in hub.fetched if name.startswith("unet")} == {"model.onnx", "config.json"}
    assert not [name for name in hub.fetched if name.endswith((".bin", ".xml", ".safetensors"))]


def test_of_two_formats_it_is_the_one_that_is_whole(both, tmp_path, monkeypatch):
    (both / "unet/model.onnx").unlink()
    hub = Hub(tmp_path / "cache", monkeypatch, me__both=both)
    locate("me/both")
    assert "unet/openvino_model.bin" in hub.fetched
    assert not [name for name in hub.fetched if name.endswith(".onnx")]


def test_what_does_not_run_is_told_before_its_weights(toy_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(toy_folder, tmp_path / "sd3")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusion3Pipeline"}))
    hub = Hub(tmp_path / "cache", monkeypatch, me__sd3=folder)
    with pytest.raises(PackageError, match="me/sd3 holds a StableDiffusion3Pipeline"):
        load("me/sd3")
    assert hub.fetched == ["model_index.json"]


def test_a_folder_and_a_revision_of_a_repository(toy_folder, tmp_path, monkeypatch):
    shutil.copytree(toy_folder, tmp_path / "many/fp16/onnx")
    hub = Hub(tmp_path / "cache", monkeypatch, **{"me__many@v2": tmp_path / "many"})
    package = load("me/many/fp16/onnx@v2").package
    assert package.root.parts[-2:] == ("fp16", "onnx")
    assert hub.fetched[0] == "fp16/onnx/model_index.json" and {call[:2] for call in hub.calls} == {("me/many", "v2")}
    with pytest.raises(PackageError, match="folders of models; give me/many/fp16/onnx"):
        load("me/many", revision="v2")


def test_weights_by_any_name_come_along(toy_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(toy_folder, tmp_path / "odd")
    graph = onnx.load(str(folder / "unet/model.onnx"))
    (folder / "unet/model.onnx").unlink()
    onnx.save_model(
        graph, str(folder / "unet/model.onnx"), save_as_external_data=True, location="odd.data", size_threshold=100
    )
    hub = Hub(tmp_path / "cache", monkeypatch, me__odd=folder)
    load("me/odd").txt2img("a", steps=1)
    assert hub.fetched[-1] == "unet/odd.data"


@pytest.fixture
def diffusers(tmp_path):
    """A repository as diffusers saves them, of which nothing is opened here."""
    folder = tmp_path / "saved"
    rows = ["unet", "vae", "text_encoder"]
    files = [
        *("scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "README.md", "x.ckpt"),
        *(f"{network}/config.json" for network in rows),
        *(f"{network}/diffusion_pytorch_model{way}" for network in rows[:2] for way in (".bin", ".safetensors")),
        *("text_encoder/model.safetensors", "text_encoder/model.fp16.safetensors", "text_encoder/pytorch_model.bin"),
        *("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors"),
        *("safety_checker/model.safetensors", "feature_extractor/preprocessor_config.json"),
    ]
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    index = {"_class_name": "StableDiffusionPipeline", **{name: ["diffusers", "x"] for name in rows}}
    (folder / "model_index.json").write_text(
        json.dumps({**index, "safety_checker": ["a", "b"], "text_encoder_2": None})
    )
    return folder


def test_of_diffusers_repository_only_its_16_bits_are_fetched(diffusers, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache", monkeypatch, me__saved=diffusers)
    locate("me/saved")
    assert set(hub.fetched) == {
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.fp16.safetensors",
    }


def test_shards_come_with_their_index(diffusers, tmp_path, monkeypatch):
    for name in ("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"):
        (diffusers / name).unlink()
    shards = [f"unet/diffusion_pytorch_model-0000{index}-of-00002.safetensors" for index in (1, 2)]
    for name in ("unet/diffusion_pytorch_model.safetensors.index.json", *shards):
        (diffusers / name).write_text("{}")
    hub = Hub(tmp_path / "cache", monkeypatch, me__saved=diffusers)
    locate("me/saved")
    assert {*shards, "unet/diffusion_pytorch_model.safetensors.index.json"} <= set(hub.fetched)


def test_pickles_and_folders_without_networks_are_told_before_anything_large(diffusers, tmp_path, monkeypatch):
    for file in diffusers.rglob("*.safetensors"):
        file.unlink()
    hub = Hub(tmp_path / "cache", monkeypatch, me__saved=diffusers)
    with pytest.raises(PackageError, match="me/saved holds no model that runs: it has its weights as pickles"):
        load("me/saved")
    for file in diffusers.rglob("*.bin"):
        file.unlink()
    with pytest.raises(PackageError, match="no networks that partway reads"):
        load("me/saved")
    assert set(hub.fetched) == {"model_index.json"}


def test_a_repository_of_files_names_them(tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/dream.safetensors").write_text("x")
    hub = Hub(tmp_path / "cache", monkeypatch, me__files=tmp_path / "files")
    with pytest.raises(PackageError, match=r"files; give me/files/dream\.safetensors"):
        load("me/files")
    assert locate("me/files/dream.safetensors").read_text() == "x"
    assert hub.fetched == ["dream.safetensors"]


def test_what_was_fetched_before_runs_without_a_network(both, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache", monkeypatch, me__both=both)
    root = load("me/both").package.root
    hub.online = False
    assert load("me/both").package.root == root
    with pytest.raises(PackageError, match="neither a folder here"):
        load("me/both@other")


def test_where_the_hub_does_not_list_its_files_one_format_is_fetched_all_the_same(both, tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache", monkeypatch, me__both=both)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: None)
    assert load("me/both").package.format == "onnx"
    assert not [name for name in hub.fetched if name.endswith((".bin", ".xml"))]
