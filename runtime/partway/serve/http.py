"""A request of HTTP as handlers see it, and what they answer, whatever carries both."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
STREAM = "text/event-stream"


@dataclass(frozen=True, eq=False)
class Call:
    """A request.

    path     decoded, with a slash before and none behind
    headers  by lower-case name
    address  of the client
    fields   what its body or its query says; a form's values are text
    files    what a form has as files, by field
    gone     says whether the client has closed the connection
    """

    method: str
    path: str
    headers: Mapping[str, str]
    address: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, list[bytes]] = field(default_factory=dict)
    gone: Callable[[], bool] = lambda: False

    @property
    def origin(self) -> str:
        """Where links lead that the client can follow: its own way to this server."""
        return f"http://{self.headers.get('host', 'localhost')}"


@dataclass(frozen=True, eq=False)
class Reply:
    """An answer; a body that is no bytes is sent piece by piece as it is made, and closed when the client goes."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def packed(content: Any) -> bytes:
    """JSON's bytes."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")


def answer(content: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer; header names are given with underscores."""
    return Reply(status, packed(content), JSON, {name.replace("_", "-"): value for name, value in headers.items()})


def event(content: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + packed(content) + b"\n\n"
