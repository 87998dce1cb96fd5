"""The server: threads that answer, addresses that it listens on, and its end."""

import logging
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from partway.serve.app import App
from partway.serve.guard import HEADERS
from partway.serve.http import JSON, packed
from partway.serve.limits import BODY

SPARE_THREADS = 16
"""Threads beside those of requests that wait for their pictures."""

CONNECTIONS = 1000


class _Refusing(ErrorTask):
    """What is told of a request that cannot be read: in OpenAI's shape, which A1111's clients do not look at."""

    def execute(self) -> None:
        """Answer, and close the connection."""
        error = self.request.error
        problem = {"message": str(error.body), "type": "invalid_request_error", "param": None, "code": None}
        body = packed({"error": problem})
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", JSON), *HEADERS.items()]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    error_task_class = _Refusing


def listen(app: App, host: str, port: int, *, waiting: int) -> Any:
    """A server that listens on ``host`` and ``port`` (0 for any free one); its ``run`` answers until it is closed.

    ``waiting`` is how many requests may wait for a picture.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(
        app,
        host=host,
        port=port,
        threads=waiting + SPARE_THREADS,
        ident="partway",
        connection_limit=CONNECTIONS,
        channel_request_lookahead=1,  # so that a client that leaves is noticed while its request runs
        max_request_body_size=BODY,
        max_request_header_size=32_768,
        asyncore_use_poll=True,
        recv_bytes=2**18,  # pictures come in a few pieces, and not in hundreds
        outbuf_high_watermark=64 * 2**20,  # what a client reads slowly or never waits here, and not in a thread
        clear_untrusted_proxy_headers=True,
        log_socket_errors=False,
        expose_tracebacks=False,
    )
    server.channel_class = _Channel
    return server
