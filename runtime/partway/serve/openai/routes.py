"""The routes under /v1."""

import time

from partway.serve.app import Routes, Wing
from partway.serve.http import STREAM, Call, Reply, answer
from partway.serve.openai import replies, translate
from partway.serve.refusals import Refusal
from partway.serve.service import Service
from partway.serve.waiting import answered, begun, told
from partway.serve.wishes import Wish

STARTED = int(time.time())


def wing(service: Service) -> Wing:
    """OpenAI's API on a service."""

    def edits(call: Call) -> Reply:
        return _run(service, call, "image_edit", *translate.wish(call, service, picture=True))

    def generations(call: Call) -> Reply:
        return _run(service, call, "image_generation", *translate.wish(call, service, picture=False))

    def variations(call: Call) -> Reply:
        return _run(service, call, "image_edit", *translate.wish(call, service, picture=True, prompt=False))

    def models(call: Call) -> Reply:
        return answer({"object": "list", "data": [_model(name) for name in service.models.names]})

    def model(call: Call) -> Reply:
        name = call.path.removeprefix("/v1/models/")
        if name not in service.models.names:
            raise Refusal(404, "there is no such model here; see /v1/models", param="model", code="model_not_found")
        return answer(_model(name))

    routes: Routes = {
        ("POST", "/v1/images/edits"): edits,
        ("POST", "/v1/images/generations"): generations,
        ("POST", "/v1/images/variations"): variations,
        ("GET", "/v1/models"): models,
        ("GET", "/v1/models/"): model,
    }
    return Wing("/v1/", routes, replies.error)


def _run(service: Service, call: Call, name: str, wish: Wish, form: translate.Form) -> Reply:
    job = service.enter(call, "openai", wish)
    headers = told(job)
    if form.stream:
        events = replies.events(service, call, job, form, name)
        return Reply(200, begun(job, events, replies.failed), STREAM, headers)
    return answered(call, job, lambda job: replies.pictures(service, job, form, call.origin), replies.error, headers)


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": STARTED, "owned_by": "partway"}
