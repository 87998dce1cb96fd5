"""Requests that are broken in every way: each is answered or refused in one sentence, and nothing else happens."""

import base64
import json
import random

import pytest

from http_client import Client, form
from serve_process import files_below, process

VALUES = [None, True, False, 0, -1, 1, 3, 0.5, 1e308, -1e308, 10**400, "", "x", "0.5", "-1", "nan", "inf", "1e999",
          "true", [], [1, 2], {}, {"a": {"b": []}}, "../../etc/passwd", "/etc/passwd", "http://127.0.0.1:1/x.png",
          "file:///x", "\0", "\ud800", "é" * 50, "9" * 5000, "%s%n", "<script>", "A" * 10_000, "data:image/png;base64,",
          "====", [[[]]], "sigmas 1,0.5", "timesteps 999,1", "sigmas " + "1," * 2000, "dpm_solver order=3",
          [0.1] * 5000]  # fmt: skip
NAMES = [
    "prompt",
    "negative_prompt",
    "strength",
    "denoising_strength",
    "steps",
    "seed",
    "n",
    "size",
    "sampler",
    "schedule",
    "sampler_name",
    "scheduler",
    "guidance_scale",
    "cfg_scale",
    "width",
    "height",
    "mask",
    "image",
    "init_images",
    "model",
    "stream",
    "partial_images",
    "response_format",
    "output_format",
    "output_compression",
    "deadline",
    "tile",
    "vae_tile",
    "tile_overlap",
    "eta",
    "rng",
    "vae",
    "dial",
    "original_size",
    "crop",
    "target_size",
    "reuse",
    "mask_blur",
    "padding",
    "only_masked",
    "resize_mode",
    "inpaint_full_res",
    "inpainting_mask_invert",
    "override_settings",
    "alwayson_scripts",
    "batch_size",
    "n_iter",
    "variation_strength",
    "variation_seed",
    "subseed",
    "subseed_strength",
    "extra_body",
    "url",
    "images",
    "upscaling_resize",
    "imageList",
    "from",
    "id",
    "denoising_start",
    "denoising_end",
    "colour_match",
]
PATHS = ["/v1/images/edits",
         "/v1/images/generations", "/v1/images/variations", "/sdapi/v1/img2img", "/sdapi/v1/txt2img",
         "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images", "/sdapi/v1/png-info", "/sdapi/v1/options",
         "/partway/plan", "/partway/runs", "/partway/record", "/partway/stop"]  # fmt: skip
HEADERS = [{}, {}, {}, {"Content-Type": "multipart/form-data"}, {"Content-Type": "multipart/form-data; boundary="},
           {"Content-Type": "text/plain"}, {"x-stainless-read-timeout": "nan"}, {"x-stainless-read-timeout": "-5"},
           {"x-stainless-retry-count": "1"}, {"Authorization": "Basic \xff"}, {"Range": "bytes=0-1"},
           {"Content-Type": "application/x-www-form-urlencoded"}, {"Accept-Encoding": "x"}]  # fmt: skip


def cut(rng, data):
    """The bytes with some changed, lost or doubled."""
    made = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(made) + 1)
        kind = rng.randrange(3)
        if kind == 0 and at < len(made):
            made[at] = rng.randrange(256)
        elif kind == 1:
            del made[at : at + rng.randrange(1, 40)]
        else:
            made[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
    return bytes(made)


def mutated(rng, photo):
    """A path, a body and headers."""
    fields = {"prompt": "a", "steps": 1, "strength": 0.3, "width": 16, "height": 16, "size": "16x16", "n": 1}
    image = photo if rng.random() < 0.6 else cut(rng, photo)
    mask = photo if rng.random() < 0.5 else cut(rng, photo)
    for _ in range(rng.randrange(4)):
        fields[rng.choice(NAMES)] = rng.choice(VALUES)
    path, headers = rng.choice(PATHS), dict(rng.choice(HEADERS))
    if rng.random() < 0.5:
        files = [("image", image)] + [("mask", mask)] * rng.randrange(2)
        kind, body = form(
            {name: str(value).encode("utf-8", "replace").decode() for name, value in fields.items()}, files
        )
        headers.setdefault("Content-Type", kind)
    else:
        packed = base64.b64encode(image).decode()
        fields = {"image": packed, "init_images": [packed], "mask": base64.b64encode(mask).decode(), **fields}
        body = json.dumps(fields).encode()
        headers.setdefault("Content-Type", "application/json")
    if rng.random() < 0.3:
        body = cut(rng, body)
    return path, body, headers


def throw(toy_folder, folder, photo, count):
    """Send so many; return how many had which status, and the server's peak of memory."""
    statuses = {}
    before = files_below(toy_folder)
    with process(toy_folder, "--max-steps", "20", "--max-pixels", "65536", "--deadline", "5", cwd=folder) as server:
        client = Client(server.address)
        for seed in range(count):
            path, body, headers = mutated(random.Random(seed), photo)
            answer = client.ask("POST", path, body, **headers)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            assert answer.status < 500, (seed, path, answer.body)
            assert b"Traceback" not in answer.body and str(folder).encode() not in answer.body, (seed, answer.body)
            if answer.status >= 400:
                told = answer.json
                message = told["detail"] if "detail" in told else told["error"]["message"]
                assert message and len(message) <= 400, (seed, answer.body)
        assert client.get("/v1/models").status == 200
        assert server.said == "" and server.peak < 10**9
        peak = server.peak
    assert files_below(folder) == {str(folder / "stderr.txt")} and files_below(toy_folder) == before
    return statuses, peak


def test_broken_requests_break_nothing(toy_folder, tmp_path, photo):
    statuses, _ = throw(toy_folder, tmp_path, photo, 300)
    assert statuses[200] > 10 and statuses[400] > 50


@pytest.mark.thorough
def test_five_thousand_broken_requests_break_nothing(toy_folder, tmp_path, photo):
    statuses, peak = throw(toy_folder, tmp_path, photo, 5000)
    print(f"{statuses}, peak {peak / 1e6:.0f} MB")
    assert statuses[200] > 100 and statuses[400] > 500
