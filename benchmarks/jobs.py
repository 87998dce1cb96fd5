"""What a benchmark child is asked and what a tool has to offer; standard library only, for peers' environments.

A tool is a module in `benchmarks.tools` with

    PACKAGES: tuple[str, ...]         the distributions whose versions belong in the record
    def start(job: Job) -> Make       imports the tool's libraries and loads what can be loaded before a picture

where ``Make`` turns a `Request` into a `Made`. The child times both, so a tool only has to do the work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Job:
    """One configuration of one tool. ``model``: the package's folder; ``options``: the tool's own switches.

    width, height in pixels; threads: how many the tool may use; sampler: partway's name of it.
    """

    tool: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    width: int = 512
    height: int = 512
    steps: int = 20
    strength: float = 0.5
    guidance_scale: float = 7.5
    sampler: str = "ddim"
    seed: int = 0
    threads: int = 1


class Request(NamedTuple):
    """One picture to make: the source picture's path, the prompt, and how many steps the schedule has."""

    image: str
    prompt: str
    steps: int


class Made(NamedTuple):
    """What came of a request: a PIL picture, and where known the seconds and the calls of each network."""

    picture: Any
    seconds: dict[str, float]
    calls: dict[str, int]


Make = Callable[[Request], Made]
