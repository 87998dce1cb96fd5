"""Done in time: a run drops levels when its steps turn out too slow, and ends with the best estimate so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from partway.diffusion.levels import NoiseLevel

Levels = tuple[NoiseLevel, ...]

DECODE = 1.5
"""What decoding takes before it is known, in steps: Stable Diffusion 1.5 takes 1.4 of them on a CPU."""


class DecodeTimes:
    """The seconds that decoding a picture took last, by network and size; the runs of a pipeline share them."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, tuple[int, int]], float] = {}

    def expected(self, network: str, size: tuple[int, int], pictures: int) -> float | None:
        """Seconds for so many pictures of this size in pixels; None before the first."""
        seconds = self._seconds.get((network, size))
        return None if seconds is None else seconds * pictures

    @contextmanager
    def measured(self, network: str, size: tuple[int, int], pictures: int) -> Iterator[None]:
        """Meanwhile so many pictures are decoded: remember how long that takes."""
        begun = perf_counter()
        yield
        self._seconds[network, size] = (perf_counter() - begun) / pictures


class Ration:
    """Chooses which of the levels still to come a run takes; it is called before each step, and after the last.

    seconds: how long the run may take from `begin` to its pictures, None for no limit
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._end = self._before = 0.0  # when the run has to end, and when its last step began
        self._decode: float | None = None
        self._steps: list[float] = []  # seconds of each so far
        self._stopped = False
        self.short = False
        """Whether the run ends before its last level: its latents still have noise, and its estimate is the result."""

    def begin(self, decode: float | None) -> None:
        """Begin the run; ``decode`` is the seconds that decoding takes, None where that is not known."""
        self._end, self._decode = perf_counter() + (self._seconds or 0.0), decode

    def limit(self, seconds: float) -> None:
        """Let the run take so long; to be said before it begins."""
        self._seconds = seconds

    def stop(self) -> None:
        """Take no further step."""
        self._stopped = True

    def __call__(self, left: Levels) -> Levels:
        """The levels, of those still to come, that there is time for; the last one always, which alone ends the run."""
        now, before = perf_counter(), self._before
        self._before = now
        if not before:  # nothing has run yet
            return left
        self._steps.append(now - before)
        taken = left[-1:] if self._stopped else self._affordable(left, now)
        self.short = len(taken) == 1 < len(left)
        return taken

    def _affordable(self, left: Levels, now: float) -> Levels:
        if self._seconds is None:
            return left
        known = self._steps[1:] or self._steps  # the first one also loads the network
        step = sum(known) / len(known)
        decode = DECODE * max(known) if self._decode is None else self._decode
        steps = int((self._end - decode - now) / step)
        if len(self._steps) == 1 and now + decode < self._end:
            return left  # what the first step took says little of the others
        if steps < 1:
            return left[-1:]
        if steps >= len(left) - 1:
            return left
        return tuple(left[index] for index in np.linspace(0, len(left) - 1, steps + 1).round().astype(int))
