"""What every training script shares: the learning rate, averaged weights, checkpoints that survive a kill, logs."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch


def rate(step: int, steps: int, peak: float, warmup: int = 300, decay: float = 0.2) -> float:
    """Learning rate: a linear warm-up, then constant, then linear to zero over the last `decay` of the steps.

    Until the decay begins it does not depend on `steps`, so a run can be given more steps and resumed.
    """
    left = (steps - step) / max(steps * decay, 1)
    return peak * min((step + 1) / warmup, 1.0, max(left, 0.0))


def generator(seed: int, step: int) -> torch.Generator:
    """Noise for one step: the same whether or not the run was interrupted before it."""
    return torch.Generator().manual_seed(int(np.random.default_rng([seed, step]).integers(1 << 62)))


@torch.no_grad()
def average(kept: list[torch.Tensor], new: Iterable[torch.Tensor], step: int, horizon: float = 0.999) -> None:
    """Moves averaged weights towards the new ones; the memory grows from nothing to `horizon`."""
    weight = 1 - min(horizon, (1 + step) / (10 + step))
    for mean, value in zip(kept, new, strict=True):
        mean.lerp_(value, weight)


def save(path: Path, **state: Any) -> None:
    """Writes a checkpoint; a kill at any moment leaves the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, or an empty dict when there is none yet."""
    return dict(torch.load(path, weights_only=True)) if path.exists() else {}


class Log:
    """One JSON line for each report, appended to a file and printed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.started = path, time.time()

    def __call__(self, **values: Any) -> None:
        """Reports the values of a step."""
        line = json.dumps({"seconds": round(time.time() - self.started, 1)} | values)
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def cut_log(path: Path, step: int) -> None:
    """Drops the lines of steps that a resumed run will do again."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))
