"""What a batch will take, before it runs: pictures of one size and one plan together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import partway
from partway.batch.jobs import Job
from partway.batch.sources import size_of
from partway.errors import PartwayError
from partway.support.machine import free_memory

_LOOKS = ("seed", "negative_prompt", "prompt_2", "negative_prompt_2")  # of settings, those that cost nothing


class Group(NamedTuple):
    """Pictures that run alike: their size in pixels, how many, and the plan of one; None where it cannot run."""

    size: tuple[int, int]
    pictures: int
    plan: partway.Plan | None
    problem: str = ""

    @property
    def peak(self) -> int:
        """Bytes of memory at the peak of one run; 0 where that is not known."""
        return 0 if self.plan is None else self.plan.peak_bytes or 0


def by_size(jobs: Sequence[Job]) -> list[tuple[tuple[int, int], Job]]:
    """The jobs with the sizes of their pictures, the smallest first: those of one size follow each other.

    So nothing compiles twice.
    """
    sized = ((size_of(job.path), job) for job in jobs)
    return sorted(sized, key=lambda one: (one[0][0] * one[0][1], one[0], one[1].entry.name))


def groups(pipe: partway.Pipeline, sized: Sequence[tuple[tuple[int, int], Job]]) -> list[Group]:
    """What runs alike, in the order of the jobs."""
    alike: dict[tuple[tuple[int, int], str], list[Job]] = {}
    for size, job in sized:
        costs = {name: value for name, value in job.entry.settings.items() if name not in _LOOKS}
        alike.setdefault((size, repr(sorted(costs.items()))), []).append(job)
    return [_group(pipe, size, some) for (size, _), some in alike.items()]


def fitting(found: Sequence[Group], at_once: int) -> int:
    """How many runs at once the free memory has room for, at most ``at_once`` and at least one.

    As if each took all that one alone does, though they share weights.
    """
    peak, free = max((group.peak for group in found), default=0), free_memory()
    return at_once if not peak or free is None else max(1, min(at_once, free // peak))


def seconds(found: Sequence[Group], at_once: int) -> float | None:
    """About how long all take; None where that was not measured of one."""
    each = list(_seconds(found))
    return None if None in each else sum(one for one in each if one is not None) / at_once


def _seconds(found: Sequence[Group]) -> Iterator[float | None]:
    for group in found:
        if group.plan is not None and group.plan.levels:
            yield None if group.plan.seconds is None else group.pictures * group.plan.seconds


def _group(pipe: partway.Pipeline, size: tuple[int, int], jobs: Sequence[Job]) -> Group:
    if size == (0, 0):
        return Group(size, len(jobs), None, "not pictures that can be read")
    try:
        plan = pipe.plan(width=size[0], height=size[1], **jobs[0].entry.settings)
        return Group(size, len(jobs), plan)
    except PartwayError as problem:
        return Group(size, len(jobs), None, str(problem))
