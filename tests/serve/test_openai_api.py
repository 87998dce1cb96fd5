"""OpenAI's images API over the wire: what it takes in whatever form, and what comes back."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

import partway
from http_client import form, png
from partway.pictures import metadata

EDITS, MAKES = "/v1/images/edits", "/v1/images/generations"
WISH = {"prompt": "warm light", "strength": 0.5, "seed": 7, "steps": 4}


def picture(answer, index=0):
    return Image.open(io.BytesIO(base64.b64decode(answer.json["data"][index]["b64_json"])))


def same(one, other):
    return np.array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))


@pytest.fixture(scope="module")
def expected(toy_folder, photo):
    source = Image.open(io.BytesIO(photo))
    return partway.load(toy_folder).img2img(source, WISH["prompt"], strength=0.5, seed=7, steps=4).image


def test_an_edit_is_the_picture_that_the_pipeline_makes(client, photo, expected):
    answer = client.form(EDITS, WISH, [("image", photo)])
    assert answer.status == 200, answer.body
    assert same(picture(answer), expected)
    assert answer.json["size"] == "64x48" and answer.json["data"][0]["seed"] == 7
    record = metadata.read_parameters(io.BytesIO(base64.b64decode(answer.json["data"][0]["b64_json"])))
    assert record["task"] == "img2img" and record["settings"]["strength"] == 0.5


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]"])
def test_a_form_may_call_the_picture_so(client, photo, expected, name):
    assert same(picture(client.form(EDITS, WISH, [(name, photo)])), expected)


def test_json_may_hold_the_picture(client, photo, expected):
    bare = base64.b64encode(photo).decode()
    for image in (bare, f"data:image/png;base64,{bare}", {"image_url": f"data:image/png;base64,{bare}"}):
        for wish in ({**WISH, "image": image}, {**WISH, "images": [image]}):
            assert same(picture(client.post(EDITS, wish)), expected)


def test_a_chunked_body_is_read(client, photo, expected):
    kind, body = form(WISH, [("image", photo)])
    answer = client.ask("POST", EDITS, iter([body[:100], body[100:]]), **{"Content-Type": kind})
    assert same(picture(answer), expected)


def test_names_of_other_servers_are_understood(client, photo, expected):
    wish = {"prompt": WISH["prompt"], "denoise_strength": "0.5", "rng_seed": "7", "num_inference_steps": "4"}
    assert same(picture(client.form(EDITS, wish, [("image", photo)])), expected)
    wish = {"prompt": WISH["prompt"], "extra_body": {"strength": 0.5, "seed": 7, "sampling_steps": 4}}
    assert same(picture(client.post(EDITS, {**wish, "image": base64.b64encode(photo).decode()})), expected)


def test_what_means_nothing_is_ignored_and_named(client, photo):
    wish = {**WISH, "quality": "high", "input_fidelity": "high", "model": "gpt-image-1"}
    answer = client.form(EDITS, wish, [("image", photo), ("image", photo)])
    assert answer.status == 200
    assert set(answer.headers["X-Partway-Ignored"].split(", ")) == {"quality", "input_fidelity", "image[1:]"}
    assert "in place of" in answer.headers["X-Partway-Note"]


def test_several_pictures_have_one_seed_after_the_other(client, photo):
    answer = client.form(EDITS, {**WISH, "n": 2}, [("image", photo)])
    assert [one["seed"] for one in answer.json["data"]] == [7, 8]
    assert not same(picture(answer), picture(answer, 1))


def test_without_a_seed_every_picture_is_another(client):
    seeds = {client.post(MAKES, {"prompt": "a", "steps": 1}).json["data"][0]["seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_a_size_is_obeyed_and_auto_is_the_pictures_own(client, photo):
    assert picture(client.form(EDITS, {**WISH, "size": "32x40"}, [("image", photo)])).size == (32, 40)
    assert picture(client.form(EDITS, {**WISH, "size": "auto"}, [("image", photo)])).size == (64, 48)
    assert picture(client.post(MAKES, {**WISH, "size": "32x40"})).size == (32, 40)
    assert picture(client.post(MAKES, WISH)).size == (64, 64)


def test_a_large_picture_is_made_smaller(client):
    answer = client.form(EDITS, WISH, [("image", png(Image.new("RGB", (1024, 512), "red"), "JPEG"))])
    assert picture(answer).size == (362, 181)


@pytest.mark.parametrize(("format_", "name"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats(client, photo, format_, name):
    answer = client.form(EDITS, {**WISH, "output_format": format_, "output_compression": 60}, [("image", photo)])
    assert picture(answer).format == name and answer.json["output_format"] == format_


def test_links_lead_to_the_picture_and_others_are_gone(client, photo):
    answer = client.form(EDITS, {**WISH, "response_format": "url"}, [("image", photo)])
    link = answer.json["data"][0]["url"]
    found = client.get(link.partition(f":{client.port}")[2])
    assert found.headers["Content-Type"] == "image/png" and Image.open(io.BytesIO(found.body)).size == (64, 48)
    assert client.get("/results/AAAAAAAAAAAAAAAAAAAAAA.png").status == 410


@pytest.mark.parametrize("kind", ["transparent", "white"])
def test_a_mask_says_where(client, photo, kind):
    half = np.zeros((48, 64), np.uint8)
    half[:, 32:] = 255
    mask = Image.fromarray(half)
    if kind == "transparent":  # of OpenAI: alpha 0 changes
        mask = Image.merge("RGBA", [Image.new("L", (64, 48))] * 3 + [Image.fromarray(255 - half)])
    answer = client.form(EDITS, {**WISH, "strength": 0.9}, [("image", photo), ("mask", png(mask))])
    before, after = np.asarray(Image.open(io.BytesIO(photo))), np.asarray(picture(answer))
    assert np.array_equal(before[:, :32], after[:, :32]) and not np.array_equal(before[:, 32:], after[:, 32:])


def test_variations_need_no_prompt(client, photo):
    assert client.form("/v1/images/variations", {"strength": 0.4, "steps": 2}, [("image", photo)]).status == 200


def test_models(client, server):
    (name,) = server.service.models.names
    assert [one["id"] for one in client.get("/v1/models").json["data"]] == [name]
    assert client.get(f"/v1/models/{name}").json["object"] == "model"
    assert client.get("/v1/models/org%2Fname").error["code"] == "model_not_found"


def events(body):
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]


def test_a_stream_has_previews_and_then_the_picture(client, photo, expected):
    wish = {**WISH, "steps": 40, "stream": "true", "partial_images": 3}
    answer = client.form(EDITS, wish, [("image", photo)])
    assert answer.headers["Content-Type"] == "text/event-stream"
    told = events(answer.body)
    assert told[-1]["type"] == "image_edit.completed" and "usage" in told[-1]
    partial = [one for one in told if one["type"] == "image_edit.partial_image"]
    assert partial and all(one["partial_image_index"] in range(3) for one in partial)
    for one in told:
        assert Image.open(io.BytesIO(base64.b64decode(one["b64_json"]))).size == (64, 48)


MISTAKES = [
    ({"strength": 2}, "strength"),
    ({"strength": "much"}, "strength"),
    ({"steps": 0}, "steps"),
    ({"steps": 100000}, "steps"),
    ({"n": 11}, "n"),
    ({"n": 0}, "n"),
    ({"size": "big"}, "size"),
    ({"size": "4096x4096"}, "size"),
    ({"sampler": "nonsense"}, "sampler"),
    ({"seed": "x"}, "seed"),
    ({"response_format": "x"}, "response_format"),
    ({"output_format": "svg"}, "output_format"),
    ({"partial_images": 9}, "partial_images"),
    ({"prompt": ""}, "prompt"),
]


@pytest.mark.parametrize(("wrong", "named"), MISTAKES)
def test_a_mistake_is_told_in_one_sentence(client, photo, wrong, named):
    answer = client.form(EDITS, {**WISH, **wrong}, [("image", photo)])
    assert answer.status == 400
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert named in answer.error["message"] and "\n" not in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_pictures_that_are_none_are_refused(client, photo):
    for data in (b"GIF89a", b"", photo[:60], b"<svg/>"):
        assert client.form(EDITS, WISH, [("image", data)]).status == 400
    for image in ("http://127.0.0.1/a.png", "file:///etc/passwd", "/etc/passwd", "%%%"):
        answer = client.post(EDITS, {**WISH, "image": image})
        assert answer.status == 400 and "passwd" not in answer.error["message"]
    assert client.form(EDITS, WISH).error["param"] == "image"


def test_a_bomb_is_refused_before_it_is_unpacked(client):
    answer = client.form(EDITS, WISH, [("image", png(Image.new("1", (8000, 8000))))])
    assert answer.status == 413 and "million" in answer.error["message"]
