"""A batch on the machines of a Ray cluster: jobs are rows of a dataset, and an actor a device holds a warm pipeline.

Rows are paths and settings; an actor reads, runs and writes as one machine does, so that the outputs are the same
bytes. All machines need partway, and the folders of pictures, outputs and the model at the same places. An actor that
dies is started again by Ray, elsewhere if its node is gone, and is given its rows again: it leaves those that are done.
"""

import logging
import math
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from threading import Event
from typing import Any

import partway
from partway.batch import local
from partway.batch.jobs import Job
from partway.batch.making import Fate, Maker
from partway.batch.plans import by_size
from partway.budget import presets
from partway.engines import EngineOptions
from partway.errors import EngineError, PartwayError, install
from partway.support.amounts import amount

_ROUNDS = 12  # of its pictures at once that an actor is given: what a dead one was given is looked at again
_SHARES = 4  # of each actor, at least, so that none waits long for the last
_BLOCKS = 2000  # at most


@dataclass(frozen=True)
class Crew:
    """What every actor is: a pipeline of a ``model``, loaded with ``load``, that makes pictures below ``out``.

    folder   in which relative paths begin, on every machine
    threads  of each picture
    at_once  pictures of an actor at the same time; None for what the machine with the fewest processors has room for
    """

    model: str | None
    load: Mapping[str, Any]
    out: Path
    folder: Path
    threads: int
    at_once: int | None = None


class Actor:
    """Holds a warm pipeline."""

    def __init__(self, crew: Crew) -> None:
        os.chdir(crew.folder)
        self._maker = Maker(partway.load(crew.model, **crew.load), crew.out, Event())
        self._at_once = crew.at_once

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[bytes]]:
        """Make the pictures of some rows, and return their fates."""
        jobs = map(pickle.loads, rows["job"])
        return {"fate": [pickle.dumps(tuple(fate)) for fate in local.fates(self._maker, jobs, self._at_once)]}


def fates(crew: Crew, jobs: Sequence[Job], address: str | None = None) -> Iterator[Fate]:
    """What becomes of each, as blocks of them end, on the cluster at an address, or on one of this machine alone."""
    ray = library()
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield from _fates(ray, crew, jobs)
    except ray.exceptions.RayError as problem:
        raise _ours(problem) from problem
    finally:
        ray.shutdown()


def library() -> Any:
    """Ray and its datasets, without their telemetry and bars; raises `EngineError` if they are not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(f"Ray is not installed; {install('ray')}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _fates(ray: Any, crew: Crew, jobs: Sequence[Job]) -> Iterator[Fate]:
    ray.data.DataContext.get_current().enable_progress_bars = False
    crew, wanted, count = resources(crew, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    at_once, share = crew.at_once or 1, math.ceil(len(jobs) / (_SHARES * count))
    size = max(at_once, min(_ROUNDS * at_once, share), math.ceil(len(jobs) / _BLOCKS))
    rows = [{"job": pickle.dumps(job)} for _, job in by_size(jobs)]
    dataset = ray.data.from_items(rows, override_num_blocks=max(1, math.ceil(len(rows) / size)))
    strategy = ray.data.ActorPoolStrategy(size=count)
    made = dataset.map_batches(Actor, fn_constructor_args=(crew,), batch_size=size, compute=strategy, **wanted)
    for row in made.iter_rows():
        yield Fate(*pickle.loads(row["fate"]))


def resources(crew: Crew, nodes: Sequence[Mapping[str, float]]) -> tuple[Crew, dict[str, float], int]:
    """The crew with what it does at once, what an actor asks Ray for, and how many actors ``nodes`` have room for.

    Raises `EngineError` where that is none.
    """
    if str(crew.load.get("device", "CPU")).upper() == "CPU":
        cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= crew.threads]
        if not cores:
            raise EngineError(f"no machine of the cluster has {crew.threads} processors; take fewer --threads")
        at_once = crew.at_once or (1 if _frugal(crew.load) else min(cores) // crew.threads)
        wanted = {"num_cpus": float(at_once * crew.threads)}
        count = sum(have // (at_once * crew.threads) for have in cores)
    else:
        at_once, wanted = crew.at_once or 1, {"num_gpus": 1.0}
        count = sum(int(node.get("GPU", 0)) for node in nodes)
    if not count:
        raise EngineError(f"no machine of the cluster has room for an actor with {wanted}")
    if crew.load.get("memory_limit") is not None:
        wanted["memory"] = float(amount("memory_limit", crew.load["memory_limit"]))
    return replace(crew, at_once=at_once), wanted, count


def _frugal(load: Mapping[str, Any]) -> bool:
    """Whether pipelines that are loaded so release networks, so that each runs one picture at a time."""
    names = {one.name for one in fields(EngineOptions)} - {"threads"}  # of which other machines may have more
    given = {name: value for name, value in load.items() if name in names}
    return presets.options(load.get("preset"), given)[1].frugal


def _ours(problem: Exception) -> PartwayError:
    """An error of an actor as the one that it met, or as ours."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, PartwayError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return EngineError(f"Ray ended the job: {str(problem).strip().splitlines()[-1][:200]}")
