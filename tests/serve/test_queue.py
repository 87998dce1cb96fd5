"""Who is next: places, clients that leave, deadlines, the same wish again."""

import base64
import json
import socket
import threading
import time

import pytest

from http_client import Client, form
from partway.serve.limits import Limits

EDITS = "/v1/images/edits"
LONG = {"prompt": "a", "strength": 1, "steps": 1000, "seed": 1}


@pytest.fixture
def own(serve, toy_folder):
    with serve(toy_folder, limits=Limits(waiting=2, steps=1000)) as server:
        yield server


def sent(server, fields, photo, **headers):
    """A socket with a request on its way, whose answer nobody has read."""
    kind, body = form(fields, [("image", photo)])
    head = {"Host": "localhost", "Content-Type": kind, "Content-Length": len(body), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    client = Client(server.address)
    wire = socket.create_connection((client.host, client.port), timeout=20)
    wire.sendall(f"POST {EDITS} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    return wire


def until(said, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found


def test_a_run_ends_when_its_client_leaves(own, photo):
    line = own.service.line
    wire = sent(own, LONG, photo)
    job = until(lambda: [job for job in line.jobs if job.step])[0]
    wire.close()
    until(lambda: job.state == "left")
    assert job.step is None or job.step.index < 1000
    assert not line.jobs


def test_who_waits_has_a_place_and_gives_it_up_by_leaving(own, photo):
    line = own.service.line
    wires = [sent(own, LONG, photo)]
    until(lambda: line.jobs and line.jobs[0].step)
    for count in (2, 3):
        wires.append(sent(own, LONG, photo))
        until(lambda count=count: len(line.jobs) == count)
    assert [line.place(job) for job in line.jobs] == [0, 1, 2]
    refused = Client(own.address).form(EDITS, LONG, [("image", photo)])
    assert refused.status == 429 and refused.error["code"] == "queue_full"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    wires[1].close()
    until(lambda: len(line.jobs) == 2)
    for wire in wires:
        wire.close()
    until(lambda: not line.jobs)


def test_a_stream_tells_the_place(own, photo, monkeypatch):
    monkeypatch.setattr("partway.serve.openai.replies.SPACE", 0.1)
    first = sent(own, LONG, photo)
    until(lambda: own.service.line.jobs)
    second = sent(own, {**LONG, "stream": "true"}, photo)
    said = b""
    while b"waiting, 1 before" not in said:
        said += second.recv(4096)
    first.close()
    second.close()
    until(lambda: not own.service.line.jobs)


def test_a_retry_joins_the_same_wish(own, photo):
    line = own.service.line
    first = sent(own, LONG, photo)
    job = until(lambda: line.jobs)[0]
    again = sent(own, LONG, photo, x_stainless_retry_count=1)
    until(lambda: job.listeners == 2)
    other = sent(own, {**LONG, "seed": 2}, photo, x_stainless_retry_count=1)
    until(lambda: len(line.jobs) == 2)
    first.close()
    until(lambda: job.listeners == 1)
    assert line.jobs[0] is job
    for wire in (again, other):
        wire.close()
    until(lambda: not line.jobs)


def test_a_retry_gets_what_is_done_already(own, photo):
    client = Client(own.address)
    wish = {**LONG, "steps": 2}
    del wish["seed"]
    made = client.form(EDITS, wish, [("image", photo)])
    again = client.form(EDITS, wish, [("image", photo)], x_stainless_retry_count="1")
    assert again.json["data"] == made.json["data"]
    assert client.form(EDITS, wish, [("image", photo)]).json["data"] != made.json["data"]


def test_the_patience_of_a_client_is_its_deadline(own, photo):
    begun = time.monotonic()
    answer = Client(own.address).form(EDITS, LONG, [("image", photo)], x_stainless_read_timeout="1")
    assert answer.status == 200 and time.monotonic() - begun < 5
    chunk = base64.b64decode(answer.json["data"][0]["b64_json"])
    assert b'"deadline": null' in chunk


def test_the_server_has_a_deadline_too(serve, toy_folder, photo):
    with serve(toy_folder, limits=Limits(steps=1000, deadline=0.3)) as server:
        begun = time.monotonic()
        assert Client(server.address).form(EDITS, LONG, [("image", photo)]).status == 200
        assert time.monotonic() - begun < 5


def test_a_slow_answer_begins_early_and_is_still_json(own, photo, monkeypatch):
    monkeypatch.setattr("partway.serve.waiting.SILENT", 0.1)
    monkeypatch.setattr("partway.serve.waiting.SPACE", 0.05)
    answer = Client(own.address).form(EDITS, {**LONG, "deadline": 1.5}, [("image", photo)])
    assert answer.status == 200 and answer.body[:1] == b" " and len(json.loads(answer.body)["data"]) == 1


def test_a_failure_after_that_is_told_in_the_body(own, photo, monkeypatch):
    monkeypatch.setattr("partway.serve.waiting.SILENT", 0.05)

    def broken(job):
        time.sleep(0.5)
        raise MemoryError

    monkeypatch.setattr(own.service.line, "_work", broken)
    answer = Client(own.address).form(EDITS, LONG, [("image", photo)])
    assert answer.status == 200 and "out of memory" in answer.error["message"]


def test_a_failure_before_that_is_a_status(own, photo, monkeypatch):
    def broken(job):
        raise ValueError("/home/me/secret")

    monkeypatch.setattr(own.service.line, "_work", broken)
    answer = Client(own.address).form(EDITS, LONG, [("image", photo)])
    assert answer.status == 500 and "secret" not in answer.error["message"]


def test_several_clients_are_served_one_after_the_other(own, photo):
    answers = []
    client = Client(own.address)

    def ask(seed):
        answers.append(client.form(EDITS, {**LONG, "steps": 3, "seed": seed}, [("image", photo)]).status)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 12 and set(answers) <= {200, 429} and answers.count(200) >= 3
