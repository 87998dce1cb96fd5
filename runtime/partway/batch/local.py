"""A batch on this machine: the next picture is read while the networks of others run, several at a time."""

from collections.abc import Iterable, Iterator

from partway.batch.jobs import Job
from partway.batch.making import Fate, Maker
from partway.support.ahead import ahead, lending


def fates(maker: Maker, jobs: Iterable[Job], at_once: int | None = None) -> Iterator[Fate]:
    """What becomes of each, as they end; ``at_once`` as for `partway.Pipeline.beside`.

    Whoever leaves early, or is interrupted, loses the pictures in work.
    """
    streams = [pipe.stream for pipe in maker.pipe.beside(at_once)]
    maker.stop.clear()
    try:
        yield from lending(streams, maker.make, ahead(maker.look, jobs), ordered=False)
    finally:
        maker.stop.set()
