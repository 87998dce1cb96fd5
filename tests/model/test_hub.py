"""Where a model comes from: folders as they are, Hub ids through huggingface_hub."""

import fnmatch

import pytest

import toy
from partway import PackageError, load
from partway.model.hub import PATTERNS, locate


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
    assert load("owner/name", revision="abc123").package.root == toy_folder
    assert (asked["repo_id"], asked["revision"]) == ("owner/name", "abc123")


def test_only_the_files_of_a_run_are_fetched():
    def wanted(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS)

    for network in ("unet", "vae_encoder", "vae_decoder", "text_encoder", "text_encoder_2"):
        assert wanted(f"{network}/model.onnx") and wanted(f"{network}/model.onnx_data")
        assert wanted(f"{network}/openvino_model.xml") and wanted(f"{network}/openvino_model.bin")
        assert wanted(f"{network}/config.json")
    assert wanted("tokenizer_2/vocab.json") and wanted("tokenizer_2/merges.txt")
    assert wanted("tokenizer/merges.txt") and wanted("tokenizer/vocab.json") and wanted("partway.json")
    for other in (
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors",
        "v1-5-pruned.ckpt",
        "safety_checker/model.onnx",
        "x.png",
    ):
        assert not wanted(other)


def test_without_a_network_it_says_so(tmp_path, monkeypatch):
    """The real huggingface_hub, told to stay offline and with nothing in its cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PackageError, match="neither a folder here nor a model that can be fetched") as caught:
        load("owner/no-such-model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "nowhere", "a/b/c"])
def test_paths_are_never_looked_up_on_the_hub(name):
    with pytest.raises(PackageError, match="there is no model folder"):
        load(name)
