"""What a run does between its place in the queue and its pictures."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import partway
from partway.records import record
from partway.serve.jobs import Job, Made
from partway.serve.models import Models

SPARE = 0.95
"""The share of a client's patience that its runs may take; the rest is for the picture's way back."""


class _Wanted(NamedTuple):
    """What a record says was asked for."""

    model: str
    load: Mapping[str, Any]
    prompt: str
    edit: Mapping[str, Any]


class Work:
    """Runs jobs on their models; ``deadline`` is the longest that one may take, in seconds."""

    def __init__(self, models: Models, *, deadline: float | None = None) -> None:
        self._models, self._deadline = models, deadline

    def __call__(self, job: Job) -> None:
        """Run a job to its end, or to the step at which its last client has gone."""
        pipe = self._models.use(job.request.model)
        for index in range(len(job.request.seeds)):
            if job.stopped and job.made:
                break
            result = self._one(job, pipe, index)
            if result is None:
                job.tell(state="left")
                return
            made = Made(result, index, self._record(job, pipe, result))
            job.tell(made=[*job.made, made], step=None, run=None)
        job.tell(state="done")

    def _one(self, job: Job, pipe: partway.Pipeline, index: int) -> partway.Result | None:
        """One picture's result; None where nobody is left to take it."""
        run = job.request.begin(pipe, index, self._seconds(job, index))
        job.tell(run=run)
        if job.stopped:
            run.stop()
        for step in run:
            job.tell(step=step)
            if job.abandoned:
                return None
        return run.result()

    def _seconds(self, job: Job, index: int) -> float | None:
        """The deadline of the next picture: the least of the client's, the server's and what is left of patience."""
        pictures = len(job.request.seeds) - index
        limits = [job.request.settings.get("deadline"), self._deadline]
        if job.until is not None:
            limits.append(max(0.0, SPARE * (job.until - time.monotonic()) / pictures))
        return min((limit for limit in limits if limit is not None), default=None)

    def _record(self, job: Job, pipe: partway.Pipeline, result: partway.Result) -> dict[str, object]:
        """The record of a picture."""
        request = job.request
        load = {name: value for name, value in self._models.options.items() if name != "loras"}  # a run's own setting
        wanted = _Wanted(request.model, load, request.prompt, request.edit)
        return record(result, wanted, pipe.package, task=request.task, source=request.source)
