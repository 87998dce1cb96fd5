"""Which configuration is fastest for a model on this machine: each is tried in a process of its own, on few calls.

Engines, devices, precisions and static shapes are tried in every combination; then, on the fastest of them alone, the
guidance pair as two calls, and all logical cores where the engine may take fewer.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from partway.bench import processes
from partway.bench.measuring import Job
from partway.budget import duration
from partway.budget.planner import Planner
from partway.budget.tuned import Measured
from partway.errors import PartwayError
from partway.graphs import SHALLOW, VAES
from partway.model.conditions import GUIDANCE_MODES
from partway.model.doctor import psnr
from partway.model.package import Package
from partway.run import starts
from partway.settings import Settings
from partway.support import machine

CALLS = 3  # of the UNet, once it is warm
SAME = 100.0  # dB, of pictures that are equal


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    measured    what its calls took
    seconds     about how long the picture takes by which all are compared
    peak_bytes  the most memory of the process, None if not known
    failed      why it failed; empty if it did not
    """

    name: str
    measured: Measured
    seconds: float = 0.0
    peak_bytes: int | None = None
    failed: str = ""


class Tuning:
    """The trials of a model, at the size and with the threads of ``job``, compared by a run with these settings."""

    def __init__(self, package: Package, job: Job, settings: Settings) -> None:
        self._package = package
        self._job = replace(job, steps=2 * CALLS, strength=0.5, sampler="ddim")
        self._settings = settings
        start = starts.imagined(True, package, width=job.width, height=job.height)
        self._planned = Planner().planned(package, settings, start)
        self._exact: NDArray[np.float64] | None = None  # the picture of float32
        self._trials: list[Trial] = []

    def trials(self, configurations: Mapping[str, Mapping[str, Any]]) -> Iterator[Trial]:
        """Try arguments of `partway.load`, by name, one for each item that is asked for."""
        for name, options in configurations.items():
            yield self._try(name, options)
        if self._planned.plan.guided_calls:
            yield from self._further("batch", 1)
        threads, physical = machine.cores(), machine.physical_cores()
        if self._job.threads is None and (physical is None or physical < threads):
            yield from self._further("threads", threads)

    def found(self) -> list[Trial]:
        """The trials that did not fail, those with pictures near that of float32 before others, the fastest first."""
        ran = [one for one in self._trials if not one.failed]
        return sorted(ran, key=lambda one: (not one.measured.near, one.seconds))

    def measured(self) -> list[Measured]:
        """What the calls of `found` took, in its order; of the first also those that a plain picture does not need."""
        first, *others = [one.measured for one in self.found()]
        vaes = [name for name in ("tiny", "tiny-decoder") if self._package.networks.keys() >= set(VAES[name])]
        settings: dict[str, Any] = {"reuse": 1.0} if SHALLOW in self._package.networks else {}
        if vaes:
            settings["vae"] = vaes[0]
        if settings:
            with suppress(PartwayError):  # the plain pictures were fine; only the seconds of these are not known
                seconds, _, _ = self._run(first.options, settings)
                first = replace(first, seconds={**seconds, **first.seconds})
        return [first, *others]

    def _further(self, option: str, value: int) -> Iterator[Trial]:
        for best in self.found()[:1]:
            if option != "threads" or best.measured.options["device"] == "CPU":
                yield self._try(f"{best.name}, {option} {value}", {**best.measured.options, option: value})

    def _try(self, name: str, options: Mapping[str, Any]) -> Trial:
        if self._job.threads is not None:
            options = {**options, "threads": self._job.threads}
        measured = Measured(dict(options), (self._job.width, self._job.height), {})
        try:
            seconds, picture, peak = self._run(options, {})
        except PartwayError as problem:
            trial = Trial(name, measured, failed=str(problem))
        else:
            decibels = None if self._exact is None else min(psnr(self._exact, picture), SAME)
            if self._exact is None and options.get("precision", "fp32") == "fp32":
                self._exact = picture
            measured = replace(measured, seconds=seconds, decibels=decibels)
            took = duration.seconds(self._planned, measured)
            assert took is not None  # the trial's picture needed the same networks
            trial = Trial(name, measured, took, peak)
        self._trials.append(trial)
        return trial

    def _run(
        self, options: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> tuple[dict[str, float], NDArray[np.float64], int | None]:
        """Seconds a call of each network, the picture, and the most memory in bytes; raises `NetworkError`."""
        load = dict(options)
        job = replace(self._job, threads=load.pop("threads", None), options=load, settings=dict(settings))
        with TemporaryDirectory(prefix="partway-tune-") as folder:
            record = processes.run(job, Path(folder), first_steps=1)
            picture = np.asarray(Image.open(Path(folder) / "picture.png"), np.float64)
        warm = record["warm"]
        seconds = {name: warm["seconds"][name] / count for name, count in warm["calls"].items() if count}
        seconds["unet"] /= len(GUIDANCE_MODES[self._package.guidance].needed(self._settings))  # predictions of a call
        return seconds, picture, record["peak_bytes"]
