"""What prompts name in the server's folders: adapters and embeddings; and prompts and clip skip as A1111 reads them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import adapter_files
import checkpoint_shapes as small
import partway
import stored
from http_client import Client
from partway.errors import InputError
from partway.pictures.metadata import read_parameters
from partway.serve.shelf import Shelf

ROOT = "/sdapi/v1/"
LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
WISH = {"seed": 7, "steps": 2, "cfg_scale": 3, "width": 64, "height": 64}
OWN = {"seed": 7, "steps": 2, "guidance_scale": 3, "width": 64, "height": 64, "prompt_syntax": "a1111"}


def lora(path, shape):
    tensors, _ = adapter_files.lora(np.random.default_rng(3), shape, size=0.5)
    return stored.write(path, {f"{LAYER}.{end}": one for end, one in tensors.items()})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    rng = np.random.default_rng(0)
    shapes = small.sd1().items()
    arrays = {name: (rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5) for name, shape in shapes}
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    return stored.write(file, {name: array.astype(np.float32) for name, array in arrays.items()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("secret-place")
    (root / "loras").mkdir()
    (root / "words").mkdir()
    lora(root / "loras" / "film.safetensors", (128, 64))
    lora(root / "loras" / "other.safetensors", (128, 2048))
    rows = np.random.default_rng(1).normal(size=(2, 64)).astype(np.float32)
    stored.write(root / "words" / "dusk.safetensors", {"emb_params": rows})
    return root


@pytest.fixture(scope="module")
def own(serve, model, folder):
    shelf = Shelf(str(folder / "loras"), str(folder / "words"))
    with serve(model, shelf=shelf) as server:
        yield Client(server.address)


@pytest.fixture(scope="module")
def pipe(model):
    return partway.load(model)


def made(answer):
    assert answer.status == 200, answer.body
    return base64.b64decode(answer.json["images"][0])


def same(data, picture):
    return np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(picture))


def test_lists_have_names_and_no_places(own, folder):
    answers = [own.get(ROOT + "loras"), own.get(ROOT + "embeddings"), own.get("/partway/about")]
    loras, embeddings, about = (answer.json for answer in answers)
    assert [one["name"] for one in loras] == about["loras"] == ["film", "other"]
    assert list(embeddings["loaded"]) == about["embeddings"] == ["dusk"]
    assert not [answer for answer in answers if folder.name.encode() in answer.body]


def test_a_prompt_names_an_adapter(own, pipe, folder):
    answer = own.post(ROOT + "txt2img", {**WISH, "prompt": "a room <lora:film:0.8>"})
    data, loras = made(answer), {str(folder / "loras" / "film.safetensors"): 0.8}
    assert same(data, pipe.txt2img("a room", loras=loras, **OWN).image)
    assert not same(data, pipe.txt2img("a room", **OWN).image)
    assert "<lora:film:0.8>" in json.loads(answer.json["info"])["infotexts"][0]
    record = read_parameters(io.BytesIO(data))
    assert [one["name"] for one in record["loras"]] == ["film"] and folder.name.encode() not in data
    assert same(made(own.post(ROOT + "txt2img", {**WISH, "prompt": "a room"})), pipe.txt2img("a room", **OWN).image)


@pytest.mark.parametrize(("name", "said"), [("none", "there are: film, other"), ("other", "does not fit this model")])
def test_an_adapter_that_cannot_be_had_is_told(own, folder, name, said):
    for path, status in ((ROOT + "txt2img", 422), ("/v1/images/generations", 400)):
        answer = own.post(path, {**WISH, "prompt": f"a room <lora:{name}:1>"})
        assert answer.status == status and said in answer.body.decode() and folder.name.encode() not in answer.body


def test_a_text_names_an_embedding(own, pipe, folder):
    data = made(own.post(ROOT + "txt2img", {**WISH, "prompt": "a room at Dusk"}))
    embeddings = {"dusk": str(folder / "words" / "dusk.safetensors")}
    assert same(data, pipe.txt2img("a room at Dusk", embeddings=embeddings, **OWN).image)
    assert not same(data, pipe.txt2img("a room at Dusk", **OWN).image)


def test_prompts_are_read_as_there(own, pipe):
    data = made(own.post(ROOT + "txt2img", {**WISH, "prompt": "a (warm:1.4) room"}))
    assert same(data, pipe.txt2img("a (warm:1.4) room", **OWN).image)
    plain = made(own.post(ROOT + "txt2img", {**WISH, "prompt": "a (warm:1.4) room", "prompt_syntax": "plain"}))
    assert same(plain, pipe.txt2img("a (warm:1.4) room", **{**OWN, "prompt_syntax": "plain"}).image)
    assert not same(plain, Image.open(io.BytesIO(data)))


def test_clip_skip_is_counted_as_there(own, pipe):
    wish = {**WISH, "prompt": "a room"}
    none, one = (pipe.txt2img("a room", clip_skip=count, **OWN).image for count in (0, 1))
    overridden = own.post(ROOT + "txt2img", {**wish, "override_settings": {"CLIP_stop_at_last_layers": 2}})
    assert same(made(overridden), one) and json.loads(overridden.json["info"])["clip_skip"] == 2
    assert same(made(own.post(ROOT + "txt2img", {**wish, "clip_skip": 1})), none)
    try:
        assert own.post(ROOT + "options", {"CLIP_stop_at_last_layers": 2}).status == 200
        assert own.get(ROOT + "options").json["CLIP_stop_at_last_layers"] == 2
        assert same(made(own.post(ROOT + "txt2img", wish)), one)
    finally:
        own.post(ROOT + "options", {"CLIP_stop_at_last_layers": 1})
    assert same(made(own.post(ROOT + "txt2img", wish)), none)
    assert own.post(ROOT + "options", {"CLIP_stop_at_last_layers": "x"}).status == 422


def test_an_adapter_for_all_runs(serve, model, pipe, folder):
    loras = {str(folder / "loras" / "film.safetensors"): 0.8}
    with serve(model, load={"loras": loras}) as server:
        data = made(Client(server.address).post(ROOT + "txt2img", {**WISH, "prompt": "a room"}))
    assert same(data, pipe.txt2img("a room", loras=loras, **OWN).image)
    assert [one["name"] for one in read_parameters(io.BytesIO(data))["loras"]] == ["film"]


def test_a_folder_has_to_be_there(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        Shelf(embedding_dir=str(tmp_path / "nowhere"))
