"""The seconds of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from partway.engines import Engine
from partway.engines.timed import Timed


class Clock:
    """Counts from its making, but for what the caller does with a step; ``engine`` counts each network's time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = Timed(engine)
        self._begun = perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count meanwhile."""
        before = perf_counter()
        yield
        self._begun += perf_counter() - before

    def seconds(self) -> dict[str, float]:
        """The networks' so far, by name; "other" for everything that is not a network, and "total"."""
        total, networks = perf_counter() - self._begun, self.engine.seconds
        return {**networks, "other": total - sum(networks.values()), "total": total}
