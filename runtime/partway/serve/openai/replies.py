"""What comes back in OpenAI's shapes: pictures, events, errors."""

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from partway.serve.files import encoded, preview
from partway.serve.http import Call, event
from partway.serve.jobs import Job, Made
from partway.serve.openai.translate import Form
from partway.serve.refusals import Refusal
from partway.serve.service import Service
from partway.serve.waiting import SPACE, watched

Content = dict[str, Any]


def error(problem: Refusal) -> Content:
    """An error as the clients read it."""
    told = {"message": problem.message, "type": problem.kind, "param": problem.param, "code": problem.code}
    return {"error": told}


def pictures(service: Service, job: Job, form: Form, origin: str) -> Content:
    """The answer with every picture."""
    made = [_picture(service, job, one, form, origin) for one in job.made]
    return {"created": int(time.time()), "data": made, **_about(job, form), "usage": _usage()}


def events(service: Service, call: Call, job: Job, form: Form, name: str) -> Iterator[bytes]:
    """The stream: previews while a picture is made, then the picture."""
    sent, shown, last = 0, -1, time.monotonic()
    for _ in watched(call, job):
        while sent < len(job.made):
            picture = _picture(service, job, job.made[sent], replace(form, links=False), call.origin)
            yield _completed(job, picture, form, name)
            sent, shown, last = sent + 1, -1, time.monotonic()
        number = _due(job, form)
        if number > shown and job.step is not None and sent == len(job.made):
            yield _partial(job, form, name, number)
            shown, last = number, time.monotonic()
        if time.monotonic() - last > SPACE:
            place = service.line.place(job)
            yield f": {f'waiting, {place} before this one' if place else 'running'}\n\n".encode()
            last = time.monotonic()


def failed(problem: Refusal) -> bytes:
    """The event that ends a stream whose run failed."""
    return event(error(problem))


def _due(job: Job, form: Form) -> int:
    """The index of the partial picture that the run has come to, -1 before the first.

    The first comes with the first step, the others evenly before the end.
    """
    step = job.step
    if step is None or not form.partial or step.index >= step.total > 1:
        return -1
    return min(form.partial - 1, (step.index - 1) * form.partial // max(step.total - 1, 1))


def _partial(job: Job, form: Form, name: str, number: int) -> bytes:
    assert job.step is not None
    data = preview(job.step, job.request.size, form.suffix)
    kind = f"{name}.partial_image"
    content = {"type": kind, "b64_json": _base64(data), "partial_image_index": number, "created_at": int(time.time())}
    return event({**content, **_about(job, form)}, kind)


def _completed(job: Job, picture: Content, form: Form, name: str) -> bytes:
    kind = f"{name}.completed"
    content = {"type": kind, **picture, "created_at": int(time.time()), **_about(job, form), "usage": _usage()}
    return event(content, kind)


def _picture(service: Service, job: Job, made: Made, form: Form, origin: str) -> Content:
    data = encoded(made.result.image, made.record, form.suffix, form.quality)
    seed = {"seed": made.result.seeds[0]}
    if form.links:
        name = service.store.add(data, form.suffix)
        return {"url": f"{origin}/results/{name}", **seed}
    return {"b64_json": _base64(data), **seed}


def _about(job: Job, form: Form) -> Content:
    width, height = job.request.size
    format_ = form.suffix.removeprefix(".")
    return {"size": f"{width}x{height}", "quality": "high", "background": "opaque", "output_format": format_}


def _usage() -> Content:
    details = {"image_tokens": 0, "text_tokens": 0}
    return {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": details}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
