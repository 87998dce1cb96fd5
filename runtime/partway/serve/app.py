"""The application: from a request of WSGI through the guard to its handler, and from what that answers to WSGI.

A route is a method and a path, or the beginning of a path that ends in a slash. Routes of a wing come with the shape
that its clients read errors in.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from partway.serve import bodies
from partway.serve.guard import HEADERS, Guard
from partway.serve.http import JSON, Call, Reply, packed
from partway.serve.limits import AT_ONCE
from partway.serve.refusals import Refusal, refusal
from partway.serve.waiting import Gone

Handler = Callable[[Call], Reply]
Routes = Mapping[tuple[str, str], Handler]
log = logging.getLogger("partway.serve")


@dataclass(frozen=True, eq=False)
class Wing:
    """Routes that belong together.

    root   begins their paths, for errors of paths that are not there
    shape  the content of an answer that tells of a `Refusal`
    status what HTTP calls it there
    open   whether they need no token
    """

    root: str
    routes: Routes
    shape: Callable[[Refusal], Any]
    status: Callable[[Refusal], int] = lambda problem: problem.status
    open: bool = False


class App:
    """A WSGI application of wings; the first whose root fits answers, and the last is for every path."""

    def __init__(self, wings: Iterable[Wing], guard: Guard) -> None:
        self._wings, self._guard = tuple(wings), guard
        self._held, self._lock = 0, threading.Lock()  # bytes of bodies

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        begun = time.monotonic()
        call = _call(environ)
        wing = next(wing for wing in self._wings if call.path.startswith(wing.root))
        try:
            reply = self._answer(environ, call, wing)
        except Gone:
            reply = Reply(499)
        except Exception as problem:
            reply = _refused(refusal(problem), wing)
        cors = self._guard.cors(call)
        headers = {**HEADERS, "Cache-Control": "no-store", **reply.headers, **cors}
        body = reply.body
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
        start(f"{reply.status} {_phrase(reply.status)}", [("Content-Type", reply.kind), *headers.items()])
        log.info("%s %s %d %.2f s", call.method, call.path[:200], reply.status, time.monotonic() - begun)
        if isinstance(body, bytes):
            return [b"" if call.method == "HEAD" else body]
        return body

    def _answer(self, environ: dict[str, Any], call: Call, wing: Wing) -> Reply:
        self._guard.check(call, needs_token=not wing.open)
        if call.method == "OPTIONS":
            return Reply(204)
        handler = self._handler(call, wing)
        if call.method in ("GET", "HEAD"):
            return handler(replace(call, fields=bodies.query(environ.get("QUERY_STRING", ""))))
        length, limit = int(environ.get("CONTENT_LENGTH") or 0), bodies.size_limit(call.path)
        if length > limit:
            raise Refusal(413, f"the request has {length} bytes, and at most {limit} are read here")
        with self._holding(length):
            fields, files = bodies.read(environ["wsgi.input"].read(length), call.headers["content-type"])
            return handler(replace(call, fields=fields, files=files))

    @contextmanager
    def _holding(self, length: int) -> Iterator[None]:
        """Meanwhile so many bytes are in memory; raises `Refusal` where that would be too many with all others'."""
        with self._lock:
            if self._held + length > AT_ONCE:
                text = "too much is being sent at once; try again in a few seconds"
                raise Refusal(503, text, kind="server_error", code="busy", retry_after=5)
            self._held += length
        try:
            yield
        finally:
            with self._lock:
                self._held -= length

    def _handler(self, call: Call, wing: Wing) -> Handler:
        method = "GET" if call.method == "HEAD" else call.method
        ends = [end + 1 for end in range(1, len(call.path)) if call.path[end] == "/"]
        places = [call.path, *(call.path[:end] for end in reversed(ends))]
        allowed = {known for known, place in wing.routes if place in places}
        for place in places:
            if (method, place) in wing.routes:
                return wing.routes[method, place]
        if allowed:
            raise Refusal(405, f"this path takes {' and '.join(sorted(allowed))}, not {method[:20]}")
        raise Refusal(404, "there is nothing at this path", code="not_found")


def _call(environ: Mapping[str, Any]) -> Call:
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name[:5] == "HTTP_"}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Call(
        method=environ["REQUEST_METHOD"],
        path="/" + path.strip("/"),
        headers=headers,
        address=environ.get("REMOTE_ADDR", ""),
        gone=environ.get("waitress.client_disconnected", lambda: False),
    )


def _refused(problem: Refusal, wing: Wing) -> Reply:
    headers = {"x-should-retry": "true" if problem.retry_after else "false"}
    if problem.retry_after:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Reply(wing.status(problem), packed(wing.shape(problem)), JSON, headers)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Closed"
