"""Answers that take long: the client is kept on the line, and nothing runs on for one that has gone."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from partway.serve.http import JSON, Call, Reply, packed
from partway.serve.jobs import Job
from partway.serve.refusals import Refusal, refusal

TICK = 0.2
"""Seconds between two looks at whether the client is still there."""

SILENT = 15.0
"""Seconds after which the answer begins, before there is one: some clients give up on headers that do not come."""

SPACE = 5.0
"""Seconds between two signs of life."""

Finish = Callable[[Job], Any]  # the content of the answer, of a job that is over
Shape = Callable[[Refusal], Any]  # the content of an answer that tells of a failure


def watched(call: Call, job: Job, seconds: float = TICK) -> Iterator[bool]:
    """Yield whenever something happened, at least so often, whether something did; end when the job is over.

    Raises `Gone` where the client has gone, and at the end the `Refusal` of a job that failed.
    """
    seen = -1
    while True:
        before, seen = seen, job.wait(seen, seconds)
        if call.gone():
            raise Gone
        over = job.over
        yield seen != before
        if over and job.problem is not None:
            raise refusal(job.problem)
        if over and job.state == "left":
            raise Refusal(503, "the server is shutting down", kind="server_error", code="shutdown")
        if over:
            return


class Gone(Exception):
    """The client has closed the connection."""


def answered(call: Call, job: Job, finish: Finish, shape: Shape, headers: dict[str, str]) -> Reply:
    """The answer of a job, which it leaves: at once where it is quick.

    A slow one begins with its status and then a space now and then, which JSON may have before it; a failure can then
    only be told in the body.
    """
    arrived = time.monotonic()
    patience = job.until - arrived if job.until is not None else None
    silent = SILENT if patience is None else min(SILENT, patience / 2)
    handed_on = False
    try:
        for _ in watched(call, job):
            if time.monotonic() - arrived > silent:
                spaces = _spaces(call, job, finish, min(SPACE, silent))
                handed_on = True
                return Reply(200, begun(job, spaces, lambda problem: packed(shape(problem))), JSON, headers)
        return Reply(200, packed(finish(job)), JSON, headers)
    finally:
        if not handed_on:
            job.leave()


def _spaces(call: Call, job: Job, finish: Finish, every: float) -> Iterator[bytes]:
    """A space now and then, and what was waited for."""
    last = 0.0
    for _ in watched(call, job):
        if time.monotonic() - last > every:
            last = time.monotonic()
            yield b" "
    yield packed(finish(job))


def begun(job: Job, pieces: Iterator[bytes], failed: Callable[[Refusal], bytes]) -> Iterator[bytes]:
    """The body of an answer that is sent as it is made, which leaves the job at its end.

    ``failed`` is how it tells of a failure, whose status nobody can be told any more. It has begun, so that closing it
    runs its end, whatever has been sent.
    """
    body = _ending(job, pieces, failed)
    next(body)
    return body


def _ending(job: Job, pieces: Iterator[bytes], failed: Callable[[Refusal], bytes]) -> Iterator[bytes]:
    try:
        yield b""
        yield from pieces
    except Gone:
        return
    except Exception as problem:
        yield failed(refusal(problem))
    finally:
        job.leave()


def told(job: Job) -> dict[str, str]:
    """Headers that say what of the request was left out, and by what name it is known."""
    names = [_PLAIN.sub("", name)[:40] for name in job.request.ignored[:20]]
    ignored = {"X-Partway-Ignored": ", ".join(names)} if names else {}
    notes = {"X-Partway-Note": _PLAIN.sub("", "; ".join(job.request.notes))} if job.request.notes else {}
    return {"x-request-id": job.id, **ignored, **notes}


_PLAIN = re.compile(r"[^\w.,;/\[\]: -]", re.ASCII)
