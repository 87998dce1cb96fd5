"""What `partway serve` adds to a run: a request beside the same call in process, first previews, and starting up.

    python -m benchmarks.serve [--turns N] [--model rooms-lcm]
    python -m benchmarks.serve --file MODEL.safetensors --peer PATH/sd-server [--turns N]

append to ``results/serve.jsonl`` and ``results/serve_start.jsonl``, and renew README.md's tables. Each server is a
process of its own on a free port of this machine. Requests and calls take turns, and each makes the same picture.

With ``--peer`` stable-diffusion.cpp's server and partway's start in turn, on the same file, until each answers on
/v1/models. Its source is in the source distribution of stable-diffusion-cpp-python, under vendor/stable-diffusion.cpp:
``cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build --target sd-server``. ``python -m
benchmarks.checkpoints make`` writes a file.
"""

import argparse
import base64
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
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


def beside(file: Path, peer: Path, turns: int) -> dict[str, Any]:
    """Medians of both servers' starts, taking turns."""
    own, other = [], []
    for turn in range(turns + 1):
        found = [*_starts(str(file), 1)], _peer_start(peer, file)
        if turn:  # the first reads the files from disk
            own += found[0]
            other.append(found[1])
    return {
        "model": file.name,
        "bytes": file.stat().st_size,
        "turns": turns,
        "start_seconds": median(own),
        "peer_start_seconds": median(other),
        "share": median(own) / median(other),
    }


def _peer_start(peer: Path, file: Path) -> float:
    """Seconds from the start of stable-diffusion.cpp's server to its first answer on /v1/models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.perf_counter()
    command = [str(peer), "--listen-ip", "127.0.0.1", "--listen-port", str(port), "-m", str(file)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while child.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("GET", "/v1/models")
                assert connection.getresponse().status == 200
                return time.perf_counter() - begun
            except ConnectionError:
                time.sleep(0.005)
            finally:
                connection.close()
        raise RuntimeError(f"{peer} ended with {child.returncode}")
    finally:
        child.kill()
        child.wait()


def _starts(model: str, times: int) -> Iterator[float]:
    for _ in range(times):
        with served(model) as (_, start):
            yield start


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--model", default="rooms-lcm")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--peer", type=Path)
    options = parser.parse_args(argv)
    head = records.session("serve")
    if options.peer:
        name, found = "serve_start", beside(options.file, options.peer, options.turns)
    else:
        name, found = "serve", measure(options.model, options.turns)
    records.append(records.RESULTS / f"{name}.jsonl", {**head, **found})
    print(json.dumps(found, indent=1))
    tables.renew()


if __name__ == "__main__":
    main()
