"""What both APIs and the page share: models, the queue, the check of wishes, and files behind links."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partway.serve.files import Store
from partway.serve.http import Call
from partway.serve.jobs import Job, Owner
from partway.serve.limits import Limits
from partway.serve.line import Line
from partway.serve.models import Models
from partway.serve.requests import Request, checked
from partway.serve.shelf import Shelf
from partway.serve.wishes import Wish
from partway.serve.work import Work


@dataclass(frozen=True, eq=False)
class Service:
    """What one server has.

    models    that are served
    limits    of what clients may ask for
    strength  that image-to-image has where a client gives none; None for the model's own
    shelf     what prompts may name
    chosen    what clients of A1111's API chose for all that follows: "model", "clip_skip"
    store     files behind links
    line      the queue
    readers   lets two requests at a time decode their pictures, so that memory stays bounded
    """

    models: Models
    limits: Limits = field(default_factory=Limits)
    strength: float | None = None
    shelf: Shelf = field(default_factory=Shelf)
    chosen: dict[str, str] = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    readers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        work = Work(self.models, deadline=self.limits.deadline)
        object.__setattr__(self, "line", Line(work, size=self.limits.waiting))

    def request(self, wish: Wish) -> Request:
        """A wish, checked; raises `Refusal`."""
        with self.readers:
            return checked(wish, self.models, limits=self.limits, shelf=self.shelf)

    def enter(self, call: Call, api: str, wish: Wish) -> Job:
        """A place in the queue for a wish, which has to be left; raises `Refusal`.

        Clients of OpenAI say how long they wait, and whether they ask again.
        """
        patience = _number(call.headers.get("x-stainless-read-timeout") or call.headers.get("x-stainless-timeout"))
        arrived = time.monotonic()
        again = _number(call.headers.get("x-stainless-retry-count")) is not None
        if self.line.full and not again:  # before pictures are decoded for nothing
            raise self.line.refused()
        request = self.request(wish)
        until = arrived + patience if patience else None
        return self.line.enter(request, Owner(api, call.address), until=until, again=again)

    def defaults(self, settings: Mapping[str, Any], *, from_picture: bool) -> dict[str, Any]:
        """Settings with the server's default strength where a picture is restyled and nobody gave one."""
        own = {"strength": self.strength} if self.strength is not None and from_picture else {}
        return {**own, **settings}


def _number(text: str | None) -> float | None:
    """A header's number above 0; None where it is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number < 1e6 else None
