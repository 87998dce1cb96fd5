"""A1111's API over the wire."""

import base64
import io
import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

import partway
from http_client import png

ROOT = "/sdapi/v1/"
WISH = {"prompt": "warm light", "seed": 7, "steps": 4, "cfg_scale": 7.5, "denoising_strength": 0.5}


def packed(data):
    return base64.b64encode(data).decode()


def picture(answer, index=0):
    return Image.open(io.BytesIO(base64.b64decode(answer.json["images"][index])))


def test_img2img_means_by_strength_what_a1111_does(client, photo, toy_folder):
    answer = client.post(ROOT + "img2img", {**WISH, "init_images": [packed(photo)]})
    assert answer.status == 200, answer.body
    source = Image.open(io.BytesIO(photo))
    pipe = partway.load(toy_folder)
    expected = pipe.img2img(source, "warm light", strength=0.5, seed=7, steps=4, guidance_scale=7.5, dial="a1111").image
    assert np.array_equal(np.asarray(picture(answer)), np.asarray(expected))
    info = json.loads(answer.json["info"])
    assert (info["seed"], info["all_seeds"], info["width"]) == (7, [7], 64)
    assert "Denoising strength: 0.5" in info["infotexts"][0]
    assert answer.json["parameters"]["init_images"] is None
    assert not answer.json["images"][0].startswith("data:")


def test_txt2img_has_the_size_asked_for_and_tells_the_seed(client):
    answer = client.post(
        ROOT + "txt2img", {**WISH, "seed": -1, "width": 40, "height": 32, "batch_size": 2, "n_iter": 1}
    )
    info = json.loads(answer.json["info"])
    assert picture(answer).size == (40, 32) and info["all_seeds"] == [info["seed"], info["seed"] + 1]


@pytest.mark.parametrize(("mode", "size"), [(0, (32, 32)), (1, (32, 32)), (2, (32, 32))])
def test_resize_modes(client, mode, size):
    wide = Image.new("RGB", (64, 32), "red")
    wide.paste("blue", (0, 0, 16, 32))
    given = {"init_images": ["data:image/png;base64," + packed(png(wide))], "resize_mode": mode}
    answer = client.post(
        ROOT + "img2img", {**WISH, **given, "denoising_strength": 0, "dial": "continuous", "width": 32, "height": 32}
    )
    made = np.asarray(picture(answer).convert("RGB")).astype(int)
    blue = (made[16, :, 2] > 128).sum()
    assert picture(answer).size == size and abs(blue - {0: 8, 1: 0, 2: 8}[mode]) <= 1
    assert (made[0, 16, 0] > 128) and (made[31, 16, 0] > 128)  # no empty edges


@pytest.mark.parametrize("invert", [0, 1])
def test_a_mask_is_opaque_or_white_where_it_changes(client, photo, invert):
    half = np.zeros((48, 64), np.uint8)
    half[:, 32:] = 255
    before = np.asarray(Image.open(io.BytesIO(photo)))
    clear = Image.merge("RGBA", [Image.new("L", (64, 48))] * 3 + [Image.fromarray(half)])
    for mask in (Image.fromarray(half), clear):
        given = {"init_images": [packed(photo)], "mask": packed(png(mask)), "mask_blur": 0, "inpaint_full_res": False}
        given |= {"denoising_strength": 0.9, "inpainting_mask_invert": invert}
        after = np.asarray(picture(client.post(ROOT + "img2img", {**WISH, **given})))
        same = [np.array_equal(before[:, part], after[:, part]) for part in (np.s_[:32], np.s_[32:])]
        assert same == [not invert, bool(invert)]


def test_only_the_masked_part_is_worked_on_at_the_size_given(client, photo):
    spot = np.zeros((48, 64), np.uint8)
    spot[16:32, 16:32] = 255
    given = {"init_images": [packed(photo)], "mask": packed(png(Image.fromarray(spot))), "width": 64, "height": 64}
    made = picture(client.post(ROOT + "img2img", {**WISH, **given, "inpaint_full_res": True, "mask_blur": 0}))
    before = np.asarray(Image.open(io.BytesIO(photo)))
    assert made.size == (64, 48) and np.array_equal(np.asarray(made)[:16], before[:16])


LISTS = ["sd-models", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-vae", "loras", "hypernetworks",
         "face-restorers", "realesrgan-models", "prompt-styles", "extensions", "script-info", "sd-modules"]  # fmt: skip
OBJECTS = ["options", "progress", "embeddings", "scripts", "cmd-flags", "memory"]


@pytest.mark.parametrize("name", LISTS + OBJECTS)
def test_what_clients_ask_for_at_start(client, name):
    answer = client.get(ROOT + name)
    assert answer.status == 200 and isinstance(answer.json, list if name in LISTS else dict)


def test_lists_agree(client):
    titles = [one["title"] for one in client.get(ROOT + "sd-models").json]
    assert client.get(ROOT + "options").json["sd_model_checkpoint"] in titles
    assert "DPM++ 2M" in [one["name"] for one in client.get(ROOT + "samplers").json]
    assert {"automatic", "karras"} <= {one["name"] for one in client.get(ROOT + "schedulers").json}
    assert client.get(ROOT + "upscalers").json[0]["name"] == "None"


def test_whole_options_come_back_and_nothing_breaks(client):
    options = client.get(ROOT + "options").json
    assert client.post(ROOT + "options", options).json is None
    assert client.ask("POST", ROOT + "reload-checkpoint", b'""').json == {}
    assert client.get(ROOT + "interrogate").status == 404
    assert client.get(ROOT + "txt2img").status == 405


def test_json_needs_no_content_type_and_unknown_samplers_fall_to_the_models_own(client):
    body = json.dumps({**WISH, "sampler_name": "Magic", "scheduler": "Automatic", "width": 32, "height": 32}).encode()
    answer = client.ask("POST", ROOT + "txt2img", body)
    assert answer.status == 200 and "sampler:Magic" in answer.headers["X-Partway-Ignored"]


def test_mistakes_and_extensions_are_told_in_its_shape(client, photo):
    for wrong in ({"steps": 0}, {"denoising_strength": 3}, {"init_images": []}, {"script_name": "x"},
                  {"alwayson_scripts": {"controlnet": {"args": [{"enabled": True}]}}}):  # fmt: skip
        answer = client.post(ROOT + "img2img", {"init_images": [packed(photo)], **WISH, **wrong})
        assert answer.status == 422 and answer.json["detail"], wrong
    harmless = {"alwayson_scripts": {"ControlNet": {"args": []}, "ADetailer": {"args": [False]}}}
    assert client.post(ROOT + "img2img", {"init_images": [packed(photo)], **WISH, **harmless}).status == 200


def test_progress_shows_the_picture_and_interrupt_keeps_it(client, photo):
    assert client.get(ROOT + "progress").json["state"]["job_count"] == 0
    made = []
    wish = {**WISH, "steps": 1000, "denoising_strength": 0.95, "init_images": [packed(photo)]}
    thread = threading.Thread(target=lambda: made.append(client.post(ROOT + "img2img", wish)))
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        told = client.get(ROOT + "progress").json
        if told["current_image"]:
            break
    assert 0 < told["progress"] < 1 and told["state"]["job_count"] == 1
    assert Image.open(io.BytesIO(base64.b64decode(told["current_image"]))).size == (64, 48)
    assert client.post(ROOT + "interrupt", {}).json == {}
    thread.join(20)
    assert made[0].status == 200 and picture(made[0]).size == (64, 48)
    assert client.get(ROOT + "progress").json["state"]["job_count"] == 0


def test_png_info_and_upscaling(client, photo):
    made = client.post(ROOT + "txt2img", {**WISH, "width": 32, "height": 32}).json["images"][0]
    told = client.post(ROOT + "png-info", {"image": made}).json
    assert told["info"].startswith("warm light") and told["parameters"]["Seed"] == "7"
    one = client.post(ROOT + "extra-single-image", {"image": made, "upscaling_resize": 3, "upscaler_1": "Lanczos"})
    assert Image.open(io.BytesIO(base64.b64decode(one.json["image"]))).size == (96, 96)
    several = {"imageList": [{"data": packed(photo), "name": "a"}], "upscaling_resize": 2}
    (image,) = client.post(ROOT + "extra-batch-images", several).json["images"]
    assert Image.open(io.BytesIO(base64.b64decode(image))).size == (128, 96)
