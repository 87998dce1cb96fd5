"""``partway serve`` as a command: what it says, what it refuses, how it ends."""

import base64
import re
import socket

import pytest

import guides
from command import Captured, refused
from http_client import Client
from partway.serve.models import Models
from partway.serve.start import Options
from serve_process import process


def test_it_says_where_it_is_and_ends_when_told(toy_folder, tmp_path):
    with process(toy_folder, "--token", "secret", "--strength", "0.4", cwd=tmp_path) as server:
        client = Client(server.address)
        assert client.get("/v1/models").status == 401
        told = client.get("/partway/about", Authorization="Bearer secret").json
        assert told["models"][0]["defaults"]["strength"] == 0.4
        assert "sdapi" not in server.said
        assert server.end() == 0


def test_the_default_strength_is_what_clients_get_that_give_none(serve, toy_folder, photo):
    with serve(toy_folder, strength=0.0) as server:
        answer = Client(server.address).form("/v1/images/edits", {"prompt": "a"}, [("image", photo)])
        assert b'"strength": 0.0' in base64.b64decode(answer.json["data"][0]["b64_json"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-here"], "nothing-here"),
        (["--port", "99999"], "port"),
        (["--strength", "3"], "strength"),
        (["--cors", "*"], "origin"),
        (["--queue", "0"], "whole number"),
        (["--lora-dir", "nowhere"], "there is no folder nowhere"),
        (["--embedding-dir", "nowhere"], "there is no folder nowhere"),
        (["--lora", "nowhere.safetensors:0.8"], "nowhere.safetensors"),
        (["--vae", "nowhere.safetensors"], "leave vae and prediction out"),
        (["rooms", "rooms-lcm", "--engine", "abacus"], "abacus"),
    ],
)
def test_mistakes_are_one_line(capsys: Captured, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "serve", *arguments)


def test_a_port_that_is_taken_is_said(capsys: Captured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "try another --port" in refused(capsys, "serve", "--port", other.getsockname()[1])


def test_several_models_by_name(toy_folder, split_folder):
    models = Models([str(toy_folder), str(split_folder)], {"memory_limit": "1GB"})
    first, second = models.names
    assert models.known("gpt-image-1") == first and models.known(second) == second
    pipe = models.use(first)
    pipe.txt2img("a", steps=1)
    assert pipe.engine._sessions
    models.use(second)
    assert not pipe.engine._sessions


def test_the_guide_has_an_example_that_runs(server, tmp_path, monkeypatch, photo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "room.jpg").write_bytes(photo)
    page = guides.text(guides.ROOT / "runtime/partway/serve/README.md")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert f"http://127.0.0.1:{Options.port}/v1" in block
    made = {}
    exec(block.replace(f"http://127.0.0.1:{Options.port}", server.address), made)
    assert made["made"].data[0].b64_json
