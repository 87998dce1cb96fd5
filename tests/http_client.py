"""Requests to a server of this machine as tests send them: by Python's own client, with nothing added."""

import http.client
import io
import json
from urllib.parse import urlsplit


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Client:
    def __init__(self, address, **headers):
        parts = urlsplit(address)
        self.host, self.port = parts.hostname, parts.port
        self.headers = headers

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, content, **headers):
        return self.ask("POST", path, json.dumps(content).encode(), **{"Content-Type": "application/json", **headers})

    def form(self, path, fields, files=(), **headers):
        kind, body = form(fields, files)
        return self.ask("POST", path, body, **{"Content-Type": kind, **headers})


def png(image, format_="PNG"):
    file = io.BytesIO()
    image.save(file, format_)
    return file.getvalue()


def form(fields, files=()):
    """The content type and bytes of a form; files are (field, bytes)."""
    pieces = []
    for name, value in fields.items():
        pieces.append(f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, data in files:
        head = f'--b0\r\nContent-Disposition: form-data; name="{name}"; filename="upload"\r\n'
        pieces.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n")
    return "multipart/form-data; boundary=b0", b"".join(pieces) + b"--b0--\r\n"
