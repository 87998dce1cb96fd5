"""Work done ahead of whoever takes its results: by threads, and never more of it than a few items."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


def ahead(function: Callable[[A], B], items: Iterable[A], *, threads: int = 1, ordered: bool = True) -> Iterator[B]:
    """Yield ``function(item)`` for each item, in their order, or as they are ready where they need not be ``ordered``.

    So many threads work, and twice as many items are in hand. What the function raises is raised in the result's
    place. Whoever leaves early drops what has not begun; what has goes on to its end.
    """
    pool = ThreadPoolExecutor(threads)
    inside: list[Future[B]] = []
    try:
        for item in items:
            inside.append(pool.submit(function, item))
            if len(inside) >= 2 * threads:
                yield _next(inside, ordered=ordered)
        while inside:
            yield _next(inside, ordered=ordered)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def lending(
    tools: Sequence[T], function: Callable[[T, A], B], items: Iterable[A], *, ordered: bool = True
) -> Iterator[B]:
    """As `ahead`, with a thread for each of some tools, which a call has for itself: ``function(tool, item)``."""
    free: SimpleQueue[T] = SimpleQueue()
    for tool in tools:
        free.put(tool)

    def lent(item: A) -> B:
        tool = free.get()
        try:
            return function(tool, item)
        finally:
            free.put(tool)

    return ahead(lent, items, threads=len(tools), ordered=ordered)


def _next(inside: list[Future[B]], *, ordered: bool) -> B:
    """The result of the first that is ready, or of the first of all."""
    if not ordered:
        done = wait(inside, return_when=FIRST_COMPLETED).done
        inside.sort(key=lambda one: one not in done)
    return inside.pop(0).result()
