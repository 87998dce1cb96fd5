"""Who is next: one request runs, some wait in the order in which they came, and no more than that get in."""

import logging
import threading
import time
from collections.abc import Callable

from partway.serve.jobs import Job, Owner
from partway.serve.refusals import Refusal
from partway.serve.requests import Request

log = logging.getLogger("partway.serve")

REMEMBERED = 4
"""Requests that are over and whose pictures are still there for a client that asks again."""

KEPT = 60.0
"""Seconds for which they are."""

LONGEST_RETRY = 60
"""Seconds: clients of OpenAI that are told to wait longer than this or twice this do not come again."""


class Line:
    """The queue, and the one thread that does the work.

    work  runs a job, and is called for one at a time
    size  how many may wait
    """

    def __init__(self, work: Callable[[Job], None], *, size: int) -> None:
        self._work, self._size = work, size
        self._lock = threading.Condition()
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._over: list[Job] = []
        self._seconds = 10.0  # what a job took lately
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="partway-runs", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether another request would be refused."""
        with self._lock:
            self._forget()
            return self._is_full()

    @property
    def jobs(self) -> list[Job]:
        """The one that runs, if any, and those that wait, in order."""
        with self._lock:
            self._forget()
            return ([self._running] if self._running else []) + list(self._waiting)

    def enter(self, request: Request, owner: Owner, *, until: float | None = None, again: bool = False) -> Job:
        """A place for the request, which the client has to `Job.leave`; raises the `Refusal` of a full queue.

        ``again`` says that the client has sent it before: where that is still on its way, or just over, it is the
        same job.
        """
        with self._lock:
            self._forget()
            if again and (known := self._same(request, owner)):
                known.join()
                return known
            if self._is_full():
                raise self.refused()
            job = Job(request, owner, until=until)
            job.join()
            self._waiting.append(job)
            self._lock.notify_all()
            return job

    def place(self, job: Job) -> int:
        """How many are before it; 0 where it runs or is over."""
        with self._lock:
            self._forget()
            return self._waiting.index(job) + (self._running is not None) if job in self._waiting else 0

    def found(self, name: str) -> Job | None:
        """The job with this id, on its way or just over."""
        with self._lock:
            self._forget()
            everyone = [self._running, *self._waiting, *self._over]
            return next((job for job in everyone if job is not None and job.id == name), None)

    def refused(self) -> Refusal:
        """What a client is told when the queue is full."""
        wait = min(LONGEST_RETRY, max(1, round(self._seconds)))
        text = f"{self._size} requests are waiting, which is all that may; try again in {wait} seconds"
        return Refusal(429, text, kind="rate_limit_exceeded", code="queue_full", retry_after=wait)

    def close(self) -> None:
        """Stop working: what runs ends at its next step, and what waits is not begun."""
        with self._lock:
            self._closed = True
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                job.tell(cancelled=True)
            self._lock.notify_all()
        self._thread.join(timeout=10)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._size + (self._running is None)

    def _same(self, request: Request, owner: Owner) -> Job | None:
        for job in [*self._waiting, self._running, *reversed(self._over)]:
            if job is not None and job.request.digest == request.digest and job.owner == owner and job.state != "left":
                return job
        return None

    def _forget(self) -> None:
        """Let those go whose clients are gone, and those that are over for long."""
        now = time.monotonic()
        for job in [job for job in self._waiting if job.abandoned]:
            self._waiting.remove(job)
            job.tell(state="left")
        self._over = [job for job in self._over if job.ended is not None and now - job.ended < KEPT][-REMEMBERED:]

    def _next(self) -> Job | None:
        with self._lock:
            while not self._closed:
                self._forget()
                if self._waiting:
                    self._running = self._waiting.pop(0)
                    return self._running
                self._lock.wait(0.5)
            return None

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            begun = time.monotonic()
            job.tell(begun=begun, state="running")
            try:
                self._work(job)
            except Exception as problem:
                job.tell(problem=problem, state="failed")
            with self._lock:
                self._running = None
                job.ended = time.monotonic()
                if job.state == "done":
                    self._over.append(job)
                    self._seconds = 0.5 * self._seconds + 0.5 * (job.ended - begun)
            job.tell()
