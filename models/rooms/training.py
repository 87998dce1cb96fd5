"""What training scripts share: arguments, learning rate, averaged weights, checkpoints that survive a kill, logs."""

import argparse
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from partway.support import machine

_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # what Linux calls the instructions, the last on Arm


def arguments(
    description: str | None,
    *,
    seed: int,
    steps: int,
    report: int,
    batch: int | None = None,
    rate: float | None = None,
    shards: int = 28,
) -> argparse.Namespace:
    """The command line, with these defaults and ``batch`` and ``rate`` where they are given; sets threads and seed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--steps", type=int, default=steps)
    if batch is not None:
        parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--shards", type=int, default=shards)
    if rate is not None:
        parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=report)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(seed)
    return args


def bfloat16() -> bool:
    """Whether the processor has instructions for it; without them it takes several times as long as float32."""
    return not _BFLOAT16.isdisjoint(machine.processor()[1])


def quick() -> torch.autocast:
    """Products in bfloat16, where that is quicker."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bfloat16())


def to_input(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [-1, 1], channels last in memory."""
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


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


@torch.no_grad()
def put(weights: Iterable[torch.Tensor], values: Iterable[torch.Tensor]) -> None:
    """Copies values into weights."""
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)


def save(path: Path, **state: Any) -> None:
    """Writes a checkpoint; a kill at any moment leaves the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, or an empty dict when there is none yet."""
    return dict(torch.load(path, weights_only=True)) if path.exists() else {}


def keep(path: Path, step: int, averaged: Iterable[torch.Tensor], **parts: Any) -> None:
    """Writes a checkpoint at a step: the averaged weights, and the state of each part, a network or an optimiser."""
    states = {name: part.state_dict() for name, part in parts.items()}
    save(path, **states, averaged=[mean.detach() for mean in averaged], step=step)


def resume(path: Path, averaged: Iterable[torch.Tensor], **parts: Any) -> int:
    """Puts back what `keep` wrote, if anything, and returns the step to go on from; the log beside it ends there.

    What a checkpoint lacks stays as it is: one that begins with a package's weights has no optimiser.
    """
    state = load(path)
    for name in parts.keys() & state.keys():
        parts[name].load_state_dict(state[name])
    if state:
        put(averaged, state["averaged"])
    first = int(state.get("step", 0))
    cut_log(path.with_suffix(".jsonl"), first)
    return first


class Optimiser:
    """Muon (Jordan et al., 2024) for matrices, AdamW for the rest, at one rate; both are torch's own.

    A convolution's weight counts as a matrix of output channels by everything else. The first and last layers, which
    read or write 3 or 4 channels, and embeddings stay with AdamW; so does all where bfloat16, in which torch's Muon
    multiplies, is slow.
    """

    def __init__(self, networks: Sequence[torch.nn.Module], rate: float, decay: float) -> None:
        modules = [module for network in networks for module in network.modules()]
        layers = [m for m in modules if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
        self.weights = [p for network in networks for p in network.parameters()]
        self.matrices = [layer.weight for layer in layers if min(layer.weight.shape[:2]) > 4] if bfloat16() else []
        chosen = {id(p) for p in self.matrices}
        rest = [p for p in self.weights if id(p) not in chosen]
        views = [torch.nn.Parameter(_as_matrix(p)) for p in self.matrices]
        if any(v.data_ptr() != p.data_ptr() for v, p in zip(views, self.matrices, strict=True)):
            raise ValueError("a weight is not laid out channels last, so its matrix would be a copy")
        self.views = views
        adamw = torch.optim.AdamW(rest, lr=rate, weight_decay=decay, betas=(0.9, 0.99))
        self.parts: list[torch.optim.Optimizer] = [adamw]
        if views:
            muon = torch.optim.Muon(views, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
            self.parts.append(muon)

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """Gradients of the loss, clipped to norm 1, and one step at this learning rate."""
        for weight in self.weights:
            weight.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for view, weight in zip(self.views, self.matrices, strict=True):
            view.grad = None if weight.grad is None else _as_matrix(weight.grad)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Goes on from a checkpoint."""
        for part, kept in zip(self.parts, state, strict=True):
            part.load_state_dict(kept)


def _as_matrix(weight: torch.Tensor) -> torch.Tensor:
    weight = weight.detach()
    return weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1).flatten(1)


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
