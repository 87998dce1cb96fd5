"""Files of embeddings: every layout, and what is none."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import stored
from partway.adapters.embeddings import open_embedding
from partway.errors import PackageError

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(3, 8)).astype(np.float32)
WIDE = RNG.normal(size=(3, 12)).astype(np.float32)


@pytest.mark.parametrize(
    "layout",
    [
        {"<film>": ROWS},
        {"emb_params": ROWS},
        {"anything": ROWS.astype(np.float16)},
        {"string_to_param.*": ROWS},
        {"bundle_emb.film.string_to_param.*": ROWS},
    ],
)
def test_one_tensor(tmp_path, layout):
    stored.write(tmp_path / "film.safetensors", layout)
    found = open_embedding(tmp_path / "film.safetensors")
    assert found.size == 3
    np.testing.assert_allclose(found.vectors[""], ROWS, atol=1e-2)


def test_one_vector(tmp_path):
    stored.write(tmp_path / "film.safetensors", {"<film>": ROWS[0]})
    assert open_embedding(tmp_path / "film.safetensors").vectors[""].shape == (1, 8)


def test_two_text_encoders(tmp_path):
    stored.write(tmp_path / "film.safetensors", {"clip_l": ROWS, "clip_g": WIDE})
    found = open_embedding(tmp_path / "film.safetensors").vectors
    np.testing.assert_array_equal(found["clip_l"], ROWS)
    np.testing.assert_array_equal(found["clip_g"], WIDE)


def test_several_in_a_lora(tmp_path):
    bundle = {"bundle_emb.one.clip_l": ROWS, "bundle_emb.one.clip_g": WIDE, "bundle_emb.two.string_to_param.*": ROWS}
    file = tmp_path / "lora.safetensors"
    stored.write(file, {**bundle, "lora_unet_mid.lora_up.weight": ROWS, "lora_unet_mid.lora_down.weight": ROWS})
    assert set(open_embedding(file, "one").vectors) == {"clip_l", "clip_g"}
    assert set(open_embedding(file, "two").vectors) == {""}
    with pytest.raises(PackageError, match=r"holds the embeddings one, two; name one, as in lora\.safetensors:one"):
        open_embedding(file, "three")


def test_in_the_text_of_a_picture(tmp_path):
    content = {"string_to_token": {"*": 265}, "string_to_param": {"*": {"TORCHTENSOR": ROWS.tolist()}}, "name": "film"}
    text = PngInfo()
    text.add_text("sd-ti-embedding", base64.b64encode(json.dumps(content).encode()).decode())
    Image.new("RGB", (8, 8)).save(tmp_path / "film.png", pnginfo=text)
    np.testing.assert_allclose(open_embedding(tmp_path / "film.png").vectors[""], ROWS, rtol=1e-6)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(PackageError, match="without an embedding"):
        open_embedding(tmp_path / "plain.png")


LORA = {"lora_unet_mid_block.lora_up.weight": ROWS, "lora_unet_mid_block.lora_down.weight": ROWS}
WHOLE = {"model.diffusion_model.input_blocks.0.0.weight": ROWS, "first_stage_model.encoder.conv_in.weight": ROWS}


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"emb_params": np.zeros((76, 8), np.float32)}, "has 76 vectors, where a prompt has room for 75"),
        (LORA, "is a LoRA, and no embedding"),
        (WHOLE, "is a whole model, and no embedding"),
        ({"a": ROWS, "b": ROWS}, "has 2 tensors, where an embedding has one"),
        ({"clip_l": ROWS, "clip_g": WIDE[:2]}, "holds 3x8 and 2x12 numbers"),
        ({"emb_params": np.full((1, 8), np.nan, np.float32)}, "not finite"),
        ({"emb_params": ROWS[None]}, "holds 1x3x8 numbers"),
    ],
)
def test_what_is_no_embedding_is_told_in_one_line(tmp_path, layout, said):
    stored.write(tmp_path / "film.safetensors", layout)
    with pytest.raises(PackageError, match=re.escape(said)) as caught:
        open_embedding(tmp_path / "film.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"PK\x03\x04rest", b"\x80\x04rest"])
def test_pickles_are_refused_whatever_they_are_called(tmp_path, content):
    for name in ("film.pt", "film.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PackageError, match="runs whatever code is in it; take the embedding"):
            open_embedding(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PackageError, match="cannot be read"):
        open_embedding(tmp_path / "none.safetensors")
