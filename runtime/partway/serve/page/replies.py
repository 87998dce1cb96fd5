"""The events of a run, as the page reads them: place, steps with previews, pictures, and what went wrong."""

import base64
import math
import time
from collections.abc import Iterator
from typing import Any

from partway.serve.files import encoded, preview
from partway.serve.http import Call, event
from partway.serve.jobs import Job, Made
from partway.serve.openai.replies import error
from partway.serve.refusals import Refusal
from partway.serve.service import Service
from partway.serve.waiting import SPACE, watched

BETWEEN = 0.2
"""Seconds between two previews."""

PREVIEW = 256 * 256
"""Pixels of one; the page enlarges it."""


def events(service: Service, call: Call, job: Job) -> Iterator[bytes]:
    """Everything that happens to a job."""
    yield event({"type": "job", "id": job.id, "place": service.line.place(job)})
    place, sent, last = 0, 0, 0.0
    for _ in watched(call, job):
        now = time.monotonic()
        if (at := service.line.place(job)) != place:
            place = at
            yield event({"type": "place", "place": place})
        if job.step is not None and now - last > BETWEEN:
            last = now
            yield event(_step(job))
        elif now - last > SPACE:
            last = now
            yield b": still here\n\n"
        while sent < len(job.made):
            yield event(_made(service, job, job.made[sent]))
            sent += 1


def failed(problem: Refusal) -> bytes:
    """The event that ends a run that failed."""
    return event({"type": "error", **error(problem)})


def _step(job: Job) -> dict[str, Any]:
    step = job.step
    if step is None:
        return {"type": "step", "index": 0, "total": job.request.plan.steps_run}
    width, height = job.request.size
    scale = min(1.0, math.sqrt(PREVIEW / (width * height)))
    small = max(1, round(width * scale)), max(1, round(height * scale))
    shown = base64.b64encode(preview(step, small, ".jpeg")).decode()
    return {
        "type": "step",
        "index": step.index,
        "total": step.total,
        "left": job.seconds_left,
        "preview": f"data:image/jpeg;base64,{shown}",
    }


def _made(service: Service, job: Job, made: Made) -> dict[str, Any]:
    result = made.result
    data = encoded(result.image, made.record)
    name = service.store.add(data, ".png", result.latents)
    return {
        "type": "made",
        "name": name,
        "url": f"/results/{name}",
        "seed": result.seeds[0],
        "model": job.request.model,
        "strength": result.settings.strength,
        "steps_run": result.plan.steps_run,
        "network_calls": result.plan.network_calls,
        "seconds": result.seconds["total"],
        "width": result.image.width,
        "height": result.image.height,
        "goes_on": result.latents is not None,
    }
