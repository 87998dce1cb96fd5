"""Pictures that arrive while a batch runs."""

import time
from collections.abc import Callable, Iterator

from partway.batch.jobs import Job

INTERVAL = 1.0
"""Seconds between two looks."""

Stamp = tuple[int, int]


def arrivals(look: Callable[[], list[Job]], interval: float = INTERVAL) -> Iterator[list[Job]]:
    """Yield what is there that was not, or has changed, look after look, without an end.

    A file counts once it is the same at two looks: until then somebody may be writing it.
    """
    seen: dict[str, Stamp] = {}
    taken: dict[str, Stamp] = {}
    while True:
        jobs = look()
        now = {str(job.path): stamp for job in jobs if (stamp := _stamp(job)) is not None}
        ready = {path for path, stamp in now.items() if seen.get(path) == stamp != taken.get(path)}
        seen = now
        taken |= {path: now[path] for path in ready}
        if ready:
            yield [job for job in jobs if str(job.path) in ready]
        else:
            time.sleep(interval)


def _stamp(job: Job) -> Stamp | None:
    try:
        about = job.path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns
