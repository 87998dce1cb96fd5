"""One request on its way: waiting, running, done; what is known of it, for whoever listens."""

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Literal

import partway
from partway.serve.requests import Request

State = Literal["waiting", "running", "done", "failed", "left"]


@dataclass(frozen=True)
class Owner:
    """Who asked: by which API, from which address."""

    api: str
    address: str


@dataclass(frozen=True, eq=False)
class Made:
    """One finished picture: the result, its place among those of the request, and its record."""

    result: partway.Result
    index: int
    record: dict[str, object]


class Job:
    """A request, and how far it is. Its fields change under `changed`, which tells listeners.

    id        unguessable
    until     when the client expects to have it, in seconds of `time.monotonic`; None for any time
    listeners how many clients are there; with none left, it ends before its next step
    step      the last step of the run, with its preview; number counts the pictures before this one's
    stopped   whether it shall end with what it has, cancelled whether with nothing
    """

    def __init__(self, request: Request, owner: Owner, *, until: float | None = None) -> None:
        self.id = secrets.token_hex(16)
        self.request, self.owner, self.until = request, owner, until
        self.changed = threading.Condition()
        self.state: State = "waiting"
        self.listeners = 0
        self.begun: float | None = None
        self.ended: float | None = None
        self.step: partway.Step | None = None
        self.made: list[Made] = []
        self.problem: Exception | None = None
        self.stopped = self.cancelled = False
        self.run: partway.Run | None = None
        self.version = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "left")

    @property
    def progress(self) -> float:
        """The share of all its steps that are taken, 0 to 1."""
        if self.state == "done":
            return 1.0
        within = self.step.index / self.step.total if self.step else 0.0
        return (len(self.made) + within) / len(self.request.seeds) if self.made or self.step else 0.0

    @property
    def seconds_left(self) -> float | None:
        """About how long it still runs, by how long it took so far; None where that is not known."""
        if self.begun is None or self.progress == 0:
            return None
        return (time.monotonic() - self.begun) * (1 - self.progress) / self.progress

    def tell(self, **fields: object) -> None:
        """Set fields, and wake listeners."""
        with self.changed:
            for name, value in fields.items():
                setattr(self, name, value)
            self.version += 1
            self.changed.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until something changed since version ``seen``, at most so long; return the version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen or self.over, seconds)
            return self.version

    @property
    def abandoned(self) -> bool:
        """Whether nobody is left to take what it makes."""
        return self.listeners < 1 or self.cancelled

    def join(self) -> None:
        """A client is there; it has to `leave`."""
        with self.changed:
            self.listeners += 1

    def leave(self) -> None:
        """A client has gone."""
        self.tell(listeners=self.listeners - 1)

    def stop(self) -> None:
        """End with the estimate of the picture so far, once there is one, and without those that have not begun."""
        self.tell(stopped=True)
        if self.run is not None:
            self.run.stop()
