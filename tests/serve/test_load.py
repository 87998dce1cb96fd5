"""Many clients, slow ones, dead ones, and a server that is killed: everybody else is served, and nothing is left."""

import base64
import http.client
import io
import socket
import threading
import time

import pytest
from PIL import Image

from http_client import Client, form
from serve_process import files_below, process

EDITS = "/v1/images/edits"
WISH = {"prompt": "a", "strength": 0.5, "steps": 4, "seed": 1}


@pytest.fixture
def apart(toy_folder, tmp_path):
    with process(toy_folder, "--queue", "8", "--max-steps", "1000", cwd=tmp_path) as one:
        yield one


def crowd(clients, ask):
    """Every client's answer, all asked at once."""
    told = [None] * clients
    gate = threading.Barrier(clients)

    def one(number):
        gate.wait(60)
        told[number] = ask(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    return told


def begun(client, fields, photo):
    """A request on its way, whose answer nobody reads."""
    kind, body = form(fields, [("image", photo)])
    wire = socket.create_connection((client.host, client.port), timeout=30)
    head = f"POST {EDITS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.sendall(head.encode() + body)
    return wire


def opened(answer):
    return Image.open(io.BytesIO(base64.b64decode(answer.json["data"][0]["b64_json"])))


def test_a_crowd_gets_pictures_or_is_told_when_to_come_again(apart, photo):
    client = Client(apart.address)

    def ask(number):
        if number % 5 == 4:
            begun(client, WISH, photo).close()
            return "left"
        return client.form(EDITS, {**WISH, "seed": number}, [("image", photo)])

    told = crowd(200, ask)
    answers = [one for one in told if one not in (None, "left")]
    assert len(answers) == 160 and {one.status for one in answers} <= {200, 429}
    assert sum(one.status == 200 for one in answers) >= 9
    for one in answers:
        if one.status == 200:
            assert opened(one).size == (64, 48)
        else:
            assert 1 <= int(one.headers["Retry-After"]) <= 60
    assert client.form(EDITS, WISH, [("image", photo)]).status == 200
    assert apart.said == ""


def test_nobody_waits_for_who_reads_slowly_or_never(apart, photo):
    client = Client(apart.address)
    deaf = []
    for _ in range(4):
        wire = begun(client, {**WISH, "stream": "true", "partial_images": 3, "n": 4, "steps": 50}, photo)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.append(wire)
    assert client.get("/v1/models").status == 200
    assert client.form(EDITS, WISH, [("image", photo)]).status == 200
    for wire in deaf:
        wire.close()


def test_clients_that_die_leave_nothing_behind(apart, photo):
    client = Client(apart.address)
    kind, body = form(WISH, [("image", photo)])
    for _ in range(20):  # in the middle of an upload
        wire = socket.create_connection((client.host, client.port), timeout=30)
        head = (
            f"POST {EDITS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        wire.sendall(head.encode() + body[: len(body) // 2])
        wire.close()
    for stream in ("true", "false"):  # in the middle of a run
        wire = begun(client, {**WISH, "steps": 1000, "strength": 1, "stream": stream, "partial_images": 3}, photo)
        if stream == "true":
            assert wire.recv(10)
        time.sleep(0.1)
        wire.close()
    begun_at = time.monotonic()
    assert client.form(EDITS, WISH, [("image", photo)]).status == 200
    assert time.monotonic() - begun_at < 20 and apart.said == ""


def test_a_killed_server_leaves_nothing_half_written_and_old_links_say_gone(toy_folder, tmp_path, photo):
    work = tmp_path / "work"
    work.mkdir()
    before = files_below(toy_folder)
    with process(toy_folder, "--max-steps", "1000", cwd=work) as first:
        client = Client(first.address)
        link = client.form(EDITS, {**WISH, "response_format": "url"}, [("image", photo)]).json["data"][0]["url"]
        path = "/" + link.split("/", 3)[3]
        assert client.get(path).status == 200
        wire = begun(client, {**WISH, "steps": 1000, "strength": 1}, photo)
        first.kill()
        wire.close()
    with process(toy_folder, cwd=work) as second:
        client = Client(second.address)
        gone = client.get(path)
        assert gone.status == 410 and gone.error["code"] == "gone"
        assert client.form(EDITS, WISH, [("image", photo)]).status == 200
        assert second.end() == 0
    assert files_below(work) == {str(work / "stderr.txt")} and files_below(toy_folder) == before


def many(apart, photo, requests):
    """Memory after a fifth of so many requests, and after all of them."""
    client = Client(apart.address)
    connection = http.client.HTTPConnection(client.host, client.port, timeout=60)
    held = []
    for number in range(requests):
        kind, body = form({**WISH, "steps": 1, "seed": number, "response_format": "url"}, [("image", photo)])
        connection.request("POST", EDITS, body, {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        if number + 1 in (requests // 5, requests):
            held.append(apart.resident)
    connection.close()
    return held


def test_memory_is_flat(apart, photo):
    first, last = many(apart, photo, 150)
    assert last < 1.05 * first


@pytest.mark.thorough
def test_memory_is_flat_over_a_thousand_requests(apart, photo):
    first, last = many(apart, photo, 1000)
    print(f"memory after 200 requests {first / 1e6:.1f} MB, after 1000 {last / 1e6:.1f} MB")
    assert last < 1.05 * first
