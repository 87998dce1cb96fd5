"""What the page asks of the server."""

import io
import json
import time

import numpy as np
from PIL import Image

import partway
from http_client import form
from partway.serve.files import Store

WISH = {"prompt": "warm light", "strength": 0.5, "steps": 6, "seed": 3}


def run(client, fields, files=()):
    answer = client.form("/partway/runs", fields, files)
    assert answer.status == 200, answer.body
    return [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: ")]


def picture(client, made):
    return Image.open(io.BytesIO(client.get(made["url"]).body))


def test_what_there_is_to_choose(client, server):
    told = client.get("/partway/about").json
    assert [one["name"] for one in told["models"]] == list(server.service.models.names)
    assert set(told["samplers"]) == set(partway.SAMPLERS) and set(told["dials"]) == set(partway.DIALS)


def test_a_plan_says_what_runs(client, toy_folder):
    wish = {"strength": 0.45, "steps": 20, "width": 64, "height": 48, "image": True}
    told = client.post("/partway/plan", wish).json
    plan = partway.load(toy_folder).plan(strength=0.45, width=64, height=48)
    assert told["steps_run"] == plan.steps_run == 9 and told["noise_share"] == plan.noise_share
    assert client.post("/partway/plan", {**wish, "image": False}).json["steps_run"] == 20
    assert client.post("/partway/plan", {**wish, "steps": 0}).status == 400
    assert client.post("/partway/plan", {**wish, "width": 9999, "height": 9999}).status == 400


def test_a_run_tells_what_happens(client, photo, toy_folder):
    told = run(client, WISH, [("image", photo)])
    assert told[0]["type"] == "job" and len(told[0]["id"]) == 32
    made = told[-1]
    assert made["type"] == "made" and made["seed"] == 3 and made["steps_run"] == 3
    source = Image.open(io.BytesIO(photo))
    expected = partway.load(toy_folder).img2img(source, "warm light", strength=0.5, steps=6, seed=3).image
    assert np.array_equal(np.asarray(picture(client, made)), np.asarray(expected))


def test_previews_come_within_two_steps(client, photo, slow_steps):
    slow_steps(0.3)
    told = run(client, {**WISH, "strength": 1, "steps": 4}, [("image", photo)])
    steps = [one for one in told if one["type"] == "step"]
    assert steps[0]["index"] <= 2 and steps[0]["preview"].startswith("data:image/jpeg;base64,")


def test_a_result_goes_on_through_its_latents(client, photo, toy_folder):
    made = run(client, WISH, [("image", photo)])[-1]
    assert made["goes_on"]
    onward = run(client, {**WISH, "prompt": "b", "from": made["name"], "width": 1, "height": 1})[-1]
    pipe = partway.load(toy_folder)
    settings = {"strength": 0.5, "steps": 6, "seed": 3}
    first = pipe.img2img(Image.open(io.BytesIO(photo)), "warm light", **settings)
    assert np.array_equal(np.asarray(picture(client, onward)), np.asarray(pipe.img2img(first, "b", **settings).image))
    gone = client.form("/partway/runs", {**WISH, "from": "AAAA.png"})
    assert gone.status == 410 and gone.error["code"] == "gone"


def test_a_record_comes_back_from_a_file(client, photo):
    made = run(client, WISH, [("image", photo)])[-1]
    kind, body = form({}, [("image", client.get(made["url"]).body)])
    record = client.ask("POST", "/partway/record", body, **{"Content-Type": kind}).json
    assert record["prompt"] == "warm light" and record["settings"]["seed"] == 3
    kind, body = form({}, [("image", photo)])
    assert client.ask("POST", "/partway/record", body, **{"Content-Type": kind}).json == {}


def test_files_of_the_page(client):
    assert b"<title>partway</title>" in client.get("/").body
    assert client.get("/page/main.js").headers["Content-Type"].startswith("text/javascript")
    assert client.get("/page/../routes.py").status == 404 and client.get("/page/none.js").status == 404
    assert client.ask("HEAD", "/").body == b""


def test_stopping_what_is_over_is_told(client):
    assert client.post("/partway/stop", {"id": "0" * 32}).status == 404


def test_files_behind_links_are_bounded_in_bytes_and_time(monkeypatch):
    store = Store(seconds=10, most=100, chained=1)
    latents = object()
    names = [store.add(b"x" * 30, ".png", latents) for _ in range(5)]
    assert len(set(names)) == 5 and all(len(name) > 22 for name in names)
    assert [store.get(name) is not None for name in names] == [False, False, True, True, True]
    assert [store.get(name).latents is latents for name in names[2:]] == [False, False, True]
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 11)
    assert store.get(names[-1]) is None
