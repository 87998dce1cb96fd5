"""A bounded memory of results that are expensive to make again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps the values of the ``size`` keys used last; threads may share it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def values(self) -> list[V]:
        """What is kept."""
        with self._lock:
            return list(self._values.values())

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value kept for ``key``, made first if there is none."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
            return self._values[key]
