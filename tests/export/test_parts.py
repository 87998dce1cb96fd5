"""The parts that need no network: choosing files of a repository, licences, decibels, rounding of weights, quiet."""

import importlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from partway.errors import PackageError
from partway_export import fetch, onnx_file
from partway_export.quiet import quiet
from partway_export.storing import KERNEL, OTHER, PRODUCT, Packed, Quantised, form, quantise
from partway_export.verify import psnr

LISTING = """
.gitattributes README.md model_index.json v1-5-pruned-emaonly.ckpt v1-5-pruned.safetensors v1-inference.yaml
feature_extractor/preprocessor_config.json
safety_checker/config.json safety_checker/model.safetensors safety_checker/pytorch_model.bin
scheduler/scheduler_config.json
text_encoder/config.json text_encoder/model.safetensors text_encoder/model.fp16.safetensors
text_encoder/pytorch_model.bin text_encoder/flax_model.msgpack text_encoder/model.onnx
tokenizer/merges.txt tokenizer/vocab.json tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json
unet/config.json unet/diffusion_pytorch_model.safetensors unet/diffusion_pytorch_model.fp16.safetensors
unet/diffusion_pytorch_model.non_ema.safetensors unet/diffusion_pytorch_model.bin
vae/config.json vae/diffusion_pytorch_model.safetensors vae/diffusion_pytorch_model.bin
"""
REPOSITORY = LISTING.split()


def test_wanted_files_of_a_usual_repository():
    assert sorted(fetch.wanted(REPOSITORY)) == [
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_wanted_files_of_sdxl():
    second = ["text_encoder_2/config.json", "text_encoder_2/model.safetensors", "tokenizer_2/vocab.json"]
    left = ["vae_1_0/config.json", "vae_1_0/diffusion_pytorch_model.safetensors", "sd_xl_base_1.0.safetensors"]
    left += ["text_encoder_2/model.onnx", "text_encoder_2/model.onnx_data", "vae_encoder/model.onnx"]
    assert sorted(fetch.wanted([*second, *left])) == second


@pytest.mark.parametrize(
    ("weights", "chosen"),
    [
        (["d.bin", "d.fp16.safetensors"], ["d.fp16.safetensors"]),
        (["d.bin", "d.fp16.bin"], ["d.bin"]),
        (
            ["d-00001-of-00002.safetensors", "d-00002-of-00002.safetensors", "d.safetensors.index.json", "d.bin"],
            ["d-00001-of-00002.safetensors", "d-00002-of-00002.safetensors", "d.safetensors.index.json"],
        ),
        (
            ["d.fp16-00001-of-00001.safetensors", "d.safetensors.index.fp16.json", "d.safetensors"],
            ["d.safetensors"],
        ),
    ],
)
def test_preferred_weights(weights, chosen):
    paths = [f"unet/{name.replace('d', 'diffusion_pytorch_model', 1)}" for name in weights]
    expected = [f"unet/{name.replace('d', 'diffusion_pytorch_model', 1)}" for name in chosen]
    assert sorted(fetch.wanted(paths)) == sorted(expected)


def test_hub_revision_is_pinned(monkeypatch, tmp_path):
    import huggingface_hub

    asked = {}

    class Api:
        def model_info(self, source, revision):
            asked["revision"] = revision
            files = [type("File", (), {"rfilename": name}) for name in REPOSITORY]
            return type("Info", (), {"siblings": files, "sha": "0123abc"})

    def snapshot_download(source, **options):
        asked.update(options, source=source, branch=asked["revision"])
        (tmp_path / "README.md").write_text("---\nlicense: creativeml-openrail-m\ntags:\n- x\n---\n# A model\n")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch.fetch("owner/name", "main") == (tmp_path, "owner/name", "0123abc", "creativeml-openrail-m")
    assert (asked["branch"], asked["revision"], asked["source"]) == ("main", "0123abc", "owner/name")
    assert asked["allow_patterns"] == fetch.wanted(REPOSITORY)


def test_unreachable_hub(monkeypatch, tmp_path):
    import huggingface_hub
    from requests.exceptions import ConnectionError as Unreachable

    class Api:
        def model_info(self, source, revision):
            raise Unreachable

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PackageError, match="cannot be reached"):
        fetch.fetch("nobody/nothing-of-this-name")


def test_licence_needs_front_matter(tmp_path):
    assert fetch.licence(tmp_path) is None
    (tmp_path / "README.md").write_text("# Model\nlicense: mit\n")
    assert fetch.licence(tmp_path) is None


def test_decibels():
    reference = np.linspace(0, 2, 101)
    assert psnr(reference, reference + 0.02) == pytest.approx(40)
    assert psnr(10 * reference, 10 * reference + 0.2) == pytest.approx(40)
    assert psnr(reference, reference) == 200
    assert psnr(reference, np.where(reference > 1, np.nan, reference)) == -200
    assert psnr(reference, reference[:1]) == -200


# no weight is so small that its scale would fall among float32's subnormal numbers, which lose precision
WEIGHTS = st.floats(-1e4, 1e4, width=32).map(lambda value: value if abs(value) > 1e-30 else 0.0)


@given(hnp.arrays(np.float32, (4, 6), elements=WEIGHTS), st.sampled_from([0, 1]))
def test_int8_is_off_by_half_a_step_at_most(values, axis):
    packed = quantise(values, axis)
    scale = packed.scale.reshape((-1, 1) if axis == 0 else (1, -1))
    assert packed.values.dtype == np.int8 and packed.values.min() >= -127
    assert (np.abs(packed.values * scale - values) <= 0.5001 * scale).all()
    largest = np.abs(values).max(axis=1 - axis)
    np.testing.assert_allclose(np.abs(packed.values).max(axis=1 - axis)[largest > 0], 127)


def matmul_model(weight):
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_weight_beyond_fp16_stays_fp32():
    weight = np.ones((64, 64), np.float32)
    assert form(weight, PRODUCT, "fp16").dtype == np.float16
    weight[3, 4] = 1e6
    assert form(weight, PRODUCT, "fp16") is weight


def test_what_weights_are_stored_as_goes_by_their_use():
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    assert isinstance(form(weight, PRODUCT, "int4"), Packed)
    assert isinstance(form(weight[:, :48], PRODUCT, "int4"), Quantised)  # its rows do not divide into groups
    assert isinstance(form(weight.reshape(64, 64, 1, 1), KERNEL, "int4"), Quantised)
    assert isinstance(form(weight, PRODUCT, "int8"), Quantised)
    assert form(weight, OTHER, "int8").dtype == np.float16
    assert form(weight[:8], PRODUCT, "int8").dtype == np.float32  # nothing to gain


def test_files_beyond_protobufs_limit_get_external_data(tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnx_file, "LIMIT", 10_000)
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    path = tmp_path / "model.onnx"
    for _ in range(2):  # writing over an external file must not append to it
        onnx_file.write(matmul_model(weight), path)
        assert (tmp_path / "model.onnx_data").stat().st_size == weight.nbytes
        assert path.stat().st_size < 1000
    x = np.eye(64, dtype=np.float32)
    (y,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    np.testing.assert_array_equal(y, weight)
    assert onnx_file.read(path).graph.initializer[0].raw_data == weight.tobytes()


def test_libraries_that_are_called_quietly_find_no_telemetry(monkeypatch):
    """OpenVINO's converter and NNCF import it when they are imported, which is in the first such block."""
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with quiet(), pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")
    assert "openvino_telemetry" not in sys.modules
