"""Every configuration that a model can run in on this machine, and each measured in a process of its own.

``python -m partway.bench.processes JOB.json OUT_FOLDER`` is that process; `configurations`, `sources` and
`spawn` are what is around it, for ``partway bench``, ``partway tune`` and the project's own benchmarks.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from partway.bench.measuring import Job, Made, Make, Request, measure
from partway.engines import ENGINES, devices
from partway.engines.table import distributions
from partway.errors import NetworkError
from partway.graphs import BUILT
from partway.model.package import Package
from partway.support.machine import versions

PACKAGES = ("partway", "numpy", "pillow", "tokenizers", *distributions())
PROMPTS = ("a quiet room with a blue sofa, morning light", "cozy scandinavian interior, warm light")


def start(job: Job) -> Make:
    """Open the package with the job's options; its networks load with the first picture."""
    import partway

    pipe = partway.load(job.model, threads=job.threads, **job.options)

    def make(request: Request) -> Made:
        result = pipe.img2img(
            request.image,
            request.prompt,
            steps=request.steps,
            strength=request.strength,
            guidance_scale=job.guidance_scale,
            sampler=job.sampler,
            seed=job.seed,
            **job.settings,
        )
        # The plan counts what a run needs; what was remembered has no seconds.
        calls = {name: count for name, count in result.plan.calls.items() if name in result.seconds}
        return Made(result.image, result.seconds, calls, result.latents and result.latents.values)

    return make


def configurations(package: Package) -> dict[str, dict[str, Any]]:
    """Arguments of `partway.load` for all that the package can run on here, by a name made of them."""
    found: dict[str, dict[str, Any]] = {}
    for engine, device, _ in devices():
        row = ENGINES[engine]
        for options in row.engine.variants(device) if package.format in (*row.formats, BUILT) else ():
            rest = [key if value is True else f"{key} {value}" for key, value in options.items() if key != "precision"]
            name = " ".join([engine, device, options.get("precision", "fp32"), *rest])
            found[name] = {"engine": engine, "device": device, **options}
    return found


def sources(folder: Path, width: int, height: int) -> list[str]:
    """Paths of two source pictures, drawn into ``folder``: smooth colours and a little grain."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    paths = []
    for index in range(2):
        waves = [np.sin(2 * math.pi * ((index + 1) * x + channel * y)) for channel in range(3)]
        grain = np.random.default_rng(index).normal(0, 0.05, (height, width, 3))
        pixels = np.clip(0.5 + 0.35 * np.stack(waves, axis=2) + grain, 0, 1)
        path = folder / f"source-{index}-{width}x{height}.png"
        Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(path)
        paths.append(str(path))
    return paths


def spawn(
    command: Sequence[str],
    job: Job,
    requests: Mapping[str, Any],
    out: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a job in a process of its own, ``command`` and two paths, and return its record; its pictures are in ``out``.

    ``requests`` are "first", "warm" and perhaps a list "again", see `partway.bench.measuring.measure`.
    Raises `NetworkError` with the last line that the process wrote if it failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    record, job_file = out / "record.json", out / "job.json"
    record.unlink(missing_ok=True)
    job_file.write_text(json.dumps({"job": asdict(job), **requests, "started": time.time()}))
    done = subprocess.run(
        [*command, str(job_file), str(out)],
        cwd=cwd,
        env=None if environment is None else dict(environment),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if not record.exists():  # it is written last: what falls after that, while leaving, has been measured
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        signal = f" (signal {-done.returncode})" if done.returncode < 0 else ""
        raise NetworkError(said + signal)
    return dict(json.loads(record.read_text("utf-8")))


def run(job: Job, out: Path, *, first_steps: int | None = None) -> dict[str, Any]:
    """Run a job with partway: a first picture from a cold start, then another one warm. Raises as `spawn` does.

    ``first_steps`` are the steps of the first picture, by default the job's.
    """
    images, steps = sources(out, job.width, job.height), (first_steps or job.steps, job.steps)
    wanted = zip(("first", "warm"), images, PROMPTS, steps, strict=True)
    requests = {name: Request(image, prompt, count, job.strength) for name, image, prompt, count in wanted}
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    return spawn([sys.executable, "-m", "partway.bench.processes"], job, requests, out, environment=quiet)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), start, partial(versions, PACKAGES))
