"""What `partway serve` adds to a run: a request beside the same call in process, first previews, and starting up.

    python -m benchmarks.serve [--turns N] [--model rooms-lcm]

appends to ``results/serve.jsonl`` and renews README.md's table. The server is a process of its own on a free port of
this machine; requests and calls take turns, and each makes the same picture.
"""

import argparse
import base64
import http.client
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import partway
from benchmarks import records, tables
from partway_rooms import room

WISH = {"prompt": "cozy scandinavian interior, warm light", "strength": 0.5, "seed": 7}


@contextmanager
def served(model: str) -> Iterator[tuple[http.client.HTTPConnection, float]]:
    """A connection to a server of its own, and the seconds from its start to its first answer on /v1/models."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "partway", "serve", model, "--port", "0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        found = re.search(r"http://([\d.]+):(\d+)", child.stdout.readline())
        assert found
        connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=600)
        connection.request("GET", "/v1/models")
        connection.getresponse().read()
        yield connection, time.perf_counter() - begun
        connection.close()
    finally:
        child.terminate()
        child.wait(20)
        child.stdout.close()


def posted(connection: http.client.HTTPConnection, wish: dict[str, Any]) -> bytes:
    """The body of an edit's answer."""
    connection.request("POST", "/v1/images/edits", json.dumps(wish).encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return body


def measure(model: str, turns: int) -> dict[str, Any]:
    """Medians of calls and requests, taking turns."""
    source = room(29).picture
    file = io.BytesIO()
    source.save(file, "PNG")
    wish = {**WISH, "image": base64.b64encode(file.getvalue()).decode()}
    settings = {name: value for name, value in WISH.items() if name != "prompt"}
    pipe = partway.load(model)
    calls, requests, extra = [], [], []
    with served(model) as (connection, start):
        for turn in range(turns + 1):
            begun = time.perf_counter()
            own = pipe.img2img(source, WISH["prompt"], **settings).image
            between = time.perf_counter()
            body = posted(connection, wish)
            ended = time.perf_counter()
            if turn:  # the first loads the networks
                calls.append(between - begun)
                requests.append(ended - between)
                extra.append(requests[-1] - calls[-1])
        made = Image.open(io.BytesIO(base64.b64decode(json.loads(body)["data"][0]["b64_json"])))
        assert np.array_equal(np.asarray(made), np.asarray(own))
        preview = _first_preview(connection, wish)
    starts = [start, *_starts(model, 4)]
    return {
        "model": model,
        "turns": turns,
        "call_seconds": median(calls),
        "request_seconds": median(requests),
        "extra_seconds": median(extra),
        "first_preview_share": preview,
        "start_seconds": median(starts),
    }


def _first_preview(connection: http.client.HTTPConnection, wish: dict[str, Any]) -> float:
    """The share of a streamed request's time after which its first preview is there."""
    body = json.dumps({**wish, "steps": 20, "stream": True, "partial_images": 3}).encode()
    begun = time.perf_counter()
    connection.request("POST", "/v1/images/edits", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    first = None
    while line := answer.readline():
        if first is None and b"partial_image" in line:
            first = time.perf_counter() - begun
    assert first is not None
    return first / (time.perf_counter() - begun)


def _starts(model: str, times: int) -> Iterator[float]:
    for _ in range(times):
        with served(model) as (_, start):
            yield start


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--model", default="rooms-lcm")
    options = parser.parse_args(argv)
    head = records.session("serve")
    found = measure(options.model, options.turns)
    records.append(records.RESULTS / "serve.jsonl", {**head, **found})
    print(json.dumps(found, indent=1))
    tables.renew()


if __name__ == "__main__":
    main()
