"""The wings of the server, put together."""

from partway.serve.a1111 import routes as a1111
from partway.serve.app import App, Wing
from partway.serve.guard import Guard
from partway.serve.http import Call, Reply
from partway.serve.openai import replies
from partway.serve.openai import routes as openai
from partway.serve.page import routes as page
from partway.serve.refusals import Refusal
from partway.serve.service import Service


def application(service: Service, guard: Guard) -> App:
    """The application that answers for a service."""
    return App([openai.wing(service), a1111.wing(service), page.wing(service), page.files(), _files(service)], guard)


def _files(service: Service) -> Wing:
    """What links in answers lead to."""

    def result(call: Call) -> Reply:
        kept = service.store.get(call.path.removeprefix("/results/"))
        if kept is None:
            raise Refusal(410, "this picture is gone; links are kept for an hour at most", code="gone")
        headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "private, max-age=3600"}
        return Reply(200, kept.data, kept.kind, headers)

    return Wing("/", {("GET", "/results/"): result, ("GET", "/"): page.index}, replies.error, open=True)
