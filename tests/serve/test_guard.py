"""Who may ask: the checklist of a server on somebody's own machine, rule by rule."""

import base64
import http.client
import logging

import pytest

from http_client import Client
from partway.errors import InputError
from partway.serve.guard import Guard, hosts_of
from partway.serve.http import Call
from partway.serve.refusals import Refusal
from partway.serve.start import Options, started

MODELS = "/v1/models"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:9", "LOCALHOST:5", "my.name", "[fe80::1]:7"])
def test_names_of_this_server(host):
    guard = Guard(hosts_of(["my.name", "fe80::1"]))
    guard.check(Call("GET", "/", {"host": host}, ""), needs_token=False)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", "::1", "[::1", "x@localhost"],
)
def test_other_names_are_refused(client, host):
    answer = client.get(MODELS, Host=host)
    assert answer.status in (400, 403) and "object" not in answer.json


def test_addresses_in_numbers_stand_for_themselves_where_all_are_listened_on():
    everywhere = Guard(addresses=True)
    for host in ("10.0.0.5:84", "[fe80::2]"):
        everywhere.check(Call("GET", "/", {"host": host}, ""), needs_token=False)
        with pytest.raises(Refusal):
            Guard().check(Call("GET", "/", {"host": host}, ""), needs_token=False)
    with pytest.raises(Refusal):
        everywhere.check(Call("GET", "/", {"host": "10.0.0.5.evil.example"}, ""), needs_token=False)


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_two_hosts_are_not_one(server, client, host):
    connection = http.client.HTTPConnection(client.host, client.port, timeout=10)
    connection.putrequest("GET", MODELS, skip_host=True)
    for name in ("evil.example", host):
        connection.putheader("Host", name)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


PAGES = [
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost:1"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({}, 200),
]


@pytest.mark.parametrize(("headers", "status"), PAGES)
def test_pages_of_others_change_nothing(client, headers, status):
    assert client.post("/sdapi/v1/interrupt", {}, **headers).status == status


def test_its_own_page_may(client):
    assert client.post("/sdapi/v1/interrupt", {}, Origin=f"http://127.0.0.1:{client.port}").status == 200


def test_there_is_no_cors_unless_a_page_is_named(client, serve, toy_folder):
    for method in ("GET", "OPTIONS"):
        answer = client.ask(method, MODELS, Origin="http://other.example")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert client.ask("OPTIONS", "/v1/images/generations").status == 204
    with serve(toy_folder, origins=("http://named.example",)) as other:
        named = Client(other.address, Origin="http://named.example")
        assert named.get(MODELS).headers["Access-Control-Allow-Origin"] == "http://named.example"
        assert named.post("/sdapi/v1/interrupt", {}).status == 200
        assert (
            "Access-Control-Allow-Origin"
            not in Client(other.address, Origin="http://named.example.evil").get(MODELS).headers
        )


def test_a_token_is_needed_where_there_is_one(serve, toy_folder):
    with serve(toy_folder, token="secret") as other:
        client = Client(other.address)
        for path in (MODELS, "/sdapi/v1/options"):
            assert client.get(path).status == 401
            for wrong in ("Bearer other", "Bearer", "Basic %%%", "Basic " + base64.b64encode(b"a:other").decode()):
                assert client.get(path, Authorization=wrong).status == 401
            for right in ("Bearer secret", "Basic " + base64.b64encode(b"any:secret").decode()):
                assert client.get(path, Authorization=right).status == 200
        assert client.get(MODELS).error["code"] == "invalid_api_key"
        assert other.page.endswith("/#token=secret")


def test_without_a_token_any_is_ignored(client):
    for said in ("Bearer x", "Basic ", "Basic"):
        assert client.get(MODELS, Authorization=said).status == 200


def test_other_addresses_need_a_token():
    server = started(Options(host="0.0.0.0", port=0))
    try:
        assert server.token and len(server.token) > 20
    finally:
        server.close()


def test_an_origin_is_checked():
    with pytest.raises(InputError, match="origin"):
        started(Options(origins=("*",)))


def test_every_answer_says_to_browsers_what_it_is(client):
    for path in (MODELS, "/nothing", "/results/x.png"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert client.get("/nothing").status == 404


@pytest.mark.parametrize(
    "path", ["/results/../../etc/passwd", "/results/%2e%2e/x", "/%2e%2e/etc/passwd", "/page/..%2f..%2fx"]
)
def test_no_path_leads_out(client, path):
    answer = client.get(path)
    assert answer.status in (404, 410) and b"root:" not in answer.body


def test_models_are_those_of_the_start(client, server, photo):
    for name in ("/etc", "../..", "me/other", "stabilityai/sdxl"):
        answer = client.form("/v1/images/edits", {"prompt": "a", "steps": 1, "model": name}, [("image", photo)])
        assert answer.status == 200
        assert set(server.service.models._pipelines) == set(server.service.models.names)


def test_what_is_too_large_is_not_read(client):
    answer = client.ask("POST", "/sdapi/v1/options", b"x" * (2 * 2**20))
    assert answer.status == 413 and answer.json["detail"]
    connection = http.client.HTTPConnection(client.host, client.port, timeout=10)
    connection.putrequest("POST", "/v1/images/edits")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    parts = [(f"f{number}", b"x") for number in range(100)]
    assert client.form("/v1/images/edits", {"prompt": "a"}, parts).status == 400


def test_too_much_at_once_is_sent_away(client, monkeypatch):
    monkeypatch.setattr("partway.serve.app.AT_ONCE", 10)
    answer = client.post("/v1/images/generations", {"prompt": "a long enough one"})
    assert answer.status == 503 and answer.headers["Retry-After"] == "5"


def test_logs_hold_no_bodies_and_no_tokens(client, caplog):
    with caplog.at_level(logging.DEBUG):
        client.post("/v1/images/generations", {"prompt": "my secret prompt", "steps": 1}, Authorization="Bearer hush")
    assert "/v1/images/generations" in caplog.text
    assert "secret" not in caplog.text and "hush" not in caplog.text


def test_the_refusal_of_a_page_is_a_refusal():
    with pytest.raises(Refusal) as told:
        Guard().check(Call("POST", "/", {"host": "localhost", "origin": "null"}, ""), needs_token=False)
    assert told.value.status == 403
