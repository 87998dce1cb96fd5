"""What the adapters' trainings share: the frozen model, batches on the device, the time they have."""

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import training
from ..assemble import trained
from ..train_unet import DROP, Batch, alphas
from .data import Data, device

REPORT = 50  # steps


class Base(NamedTuple):
    """The model that an adapter is for, frozen, and its cumulative alphas."""

    unet: Any
    text_encoder: Any
    cumulative: torch.Tensor
    device: torch.device


def load_base(run: Path, on: torch.device) -> Base:
    """The UNet and the text encoder of a run folder."""
    unet, text_encoder = (network.requires_grad_(False).to(on) for network in trained(run))
    return Base(unet.to(memory_format=torch.channels_last), text_encoder, alphas().to(on), on)


class Pool(NamedTuple):
    """`Data` on a device."""

    latents: torch.Tensor
    tokens: torch.Tensor
    lines: torch.Tensor
    empty: torch.Tensor

    def take(self, room: torch.Tensor, which: torch.Tensor, drop: torch.Tensor, spread: torch.Tensor) -> Batch:
        """Pictures by room and which of its three, whether each goes without caption, and timesteps in [0, 1)."""
        latents = self.latents[room, which].float()
        variant = torch.randint(self.tokens.shape[2], room.shape, device=room.device)
        tokens = torch.where(drop[:, None], self.empty, self.tokens[room, which, variant])
        return Batch(latents, tokens, (spread * 1000).long(), torch.randn_like(latents))

    def hints(self, room: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Lines of rooms in a look, (B, 3, 256, 256) of 0 and 1."""
        packed = self.lines[room, which]
        places = torch.arange(7, -1, -1, device=packed.device, dtype=torch.uint8)
        bits = (packed[..., None] >> places) & 1
        return bits.reshape(-1, 1, 256, 256).float().expand(-1, 3, -1, -1)


def load_pool(run: Path, on: torch.device) -> Pool:
    """The rooms that `data` wrote."""
    with np.load(run / "adapters" / "data.npz") as kept:
        found = Data(**kept)
    latents, lines = torch.from_numpy(found.latents).to(on), torch.from_numpy(found.lines).to(on)
    tokens, empty = (torch.from_numpy(a.astype(np.int64)).to(on) for a in (found.tokens, found.empty))
    return Pool(latents, tokens, lines, empty)


def stratified(size: int, on: torch.device) -> torch.Tensor:
    """Numbers in [0, 1), one of each `size`-th, in random order."""
    return (torch.randperm(size, device=on) + torch.rand(size, device=on)) / size


def dropped(size: int, on: torch.device) -> torch.Tensor:
    """Which captions are left out, (B,) bool: what guidance needs."""
    return torch.rand(size, device=on) < DROP


def arguments(description: str | None, *, rate: float, batch: int) -> argparse.Namespace:
    """The command line of a training; sets the seed and the device."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--device")
    args = parser.parse_args()
    torch.manual_seed(5)
    args.device = device(args.device)
    return args


class Trainer:
    """AdamW with averaged weights, for as many steps or minutes as there are; the rate falls over the last 30 %."""

    def __init__(self, name: str, weights: Iterable[torch.Tensor], args: argparse.Namespace) -> None:
        self.weights = [weight for weight in weights if weight.requires_grad]
        self.averaged = [weight.detach().clone() for weight in self.weights]
        self.optimiser = torch.optim.AdamW(self.weights, lr=args.rate, weight_decay=1e-4, betas=(0.9, 0.99))
        self.minutes, self.steps, self.rate, self.step = args.minutes, args.steps, args.rate, 0
        path = args.run / "adapters" / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        self.log, self.started = training.Log(path), time.monotonic()
        self.total = torch.zeros((), device=args.device)

    def left(self) -> Iterator[int]:
        """Steps, until the steps or the minutes are used up."""
        while self.step < self.steps and self.share() < 1:
            yield self.step

    def share(self) -> float:
        """How much of the time or of the steps is used, in [0, 1]."""
        spent = (time.monotonic() - self.started) / (60 * self.minutes)
        return max(spent, self.step / self.steps)

    def learn(self, loss: torch.Tensor, horizon: float = 0.995) -> None:
        """One step along the gradients of a loss, clipped to norm 1."""
        rate = self.rate * min((self.step + 1) / 50, 1.0, max((1 - self.share()) / 0.3, 0.0))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        training.average(self.averaged, self.weights, self.step, horizon)
        self.total += loss.detach()
        self.step += 1
        if self.step % REPORT == 0 or self.step == self.steps:
            count = (self.step - 1) % REPORT + 1
            self.log(step=self.step, loss=round(float(self.total) / count, 5), rate=rate)
            self.total.zero_()

    def finish(self) -> None:
        """Puts the averaged weights in place."""
        training.put(self.weights, self.averaged)
