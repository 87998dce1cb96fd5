"""A small network that reads a picture of a room: python -m models.rooms.probe --run DIR [--steps N] trains it.

`probe.npz` beside this file is the one that all committed figures were read with; training writes `DIR/probe.npz`.

It tells the object class of each 4x4 block and the picture's style, light and medium. It is trained on renders only,
never on what the model makes, with a little blur, noise and change of exposure so that it reads pictures, not pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from partway_rooms.renderer import KINDS, LIGHTS, MEDIA, STYLES, sample_look

from . import training
from .renders import SHARD, open_shard, shard_maps
from .training import to_input

NAMES: dict[str, tuple[str, ...]] = {"style": tuple(STYLES), "light": tuple(LIGHTS), "medium": MEDIA}
SEED = 4
RATE = 2e-3
KEPT = Path(__file__).with_name("probe.npz")


class Reading(NamedTuple):
    """Scores: objects (B, kinds, 64, 64), style (B, styles), light (B, lights), medium (B, media)."""

    objects: torch.Tensor
    style: torch.Tensor
    light: torch.Tensor
    medium: torch.Tensor


def stage(inside: int, outside: int, stride: int) -> nn.Sequential:
    """Two convolutions, the first with a stride."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1), nn.GroupNorm(8, outside), nn.SiLU(),
        nn.Conv2d(outside, outside, 3, 1, 1), nn.GroupNorm(8, outside), nn.SiLU(),
    )  # fmt: skip


class Probe(nn.Module):
    """A UNet for the objects, with a head on its lowest level for the rest."""

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 48, 96, 128, 160)
        self.down = nn.ModuleList(stage(i, o, 2) for i, o in zip((3, *widths), widths, strict=False))
        self.up = nn.ModuleList((stage(160 + 128, 128, 1), stage(128 + 96, 96, 1), stage(96 + 48, 64, 1)))
        self.objects = nn.Conv2d(64, len(KINDS), 1)
        self.heads = nn.ModuleDict({name: nn.Linear(160 + 96, len(values)) for name, values in NAMES.items()})

    def forward(self, pixels: torch.Tensor) -> Reading:
        """Reads pixels (B, 3, 256, 256) in [-1, 1]."""
        levels = [pixels]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels[-1]
        for up, level in zip(self.up, levels[-2:1:-1], strict=True):
            x = up(torch.cat([interpolate(x, scale_factor=2, mode="nearest"), level], 1))
        seen = torch.cat([levels[-1].mean((2, 3)), levels[3].mean((2, 3))], 1)
        return Reading(self.objects(x), *(self.heads[name](seen) for name in NAMES))


def true_labels(seed: int) -> list[int]:
    """Numbers of style, light and medium of a picture."""
    look = sample_look(seed)
    return [values.index(getattr(look, name)) for name, values in NAMES.items()]


def disturb(x: torch.Tensor, rng: np.random.Generator, noise: torch.Generator) -> torch.Tensor:
    """Blurs, dims or brightens, and adds noise, by random amounts."""
    soft = interpolate(avg_pool2d(x, 2), scale_factor=2, mode="bilinear", align_corners=False)
    blur = torch.from_numpy((rng.random((len(x), 1, 1, 1)) * (rng.random((len(x), 1, 1, 1)) < 0.5)).astype(np.float32))
    gain = torch.from_numpy(rng.uniform(0.92, 1.08, (len(x), 1, 1, 1)).astype(np.float32))
    out = (x + blur * (soft - x)) * gain
    return out + torch.randn(x.shape, generator=noise) * float(rng.uniform(0, 0.04))


def write_probe(path: Path, weights: Sequence[torch.Tensor]) -> None:
    """Writes weights, in the order of a probe's parameters, as float16."""
    names = [name for name, _ in Probe().named_parameters()]
    np.savez(path, **{name: value.numpy().astype(np.float16) for name, value in zip(names, weights, strict=True)})


def load_probe(path: Path = KEPT) -> Probe:
    """A trained probe, ready to read."""
    if not path.exists():
        raise SystemExit(f"no probe at {path}: train it with python -m models.rooms.probe")
    probe = Probe().eval()
    with np.load(path) as kept:
        training.put(probe.parameters(), [torch.from_numpy(kept[name]) for name, _ in probe.named_parameters()])
    return probe


@torch.no_grad()
def read(probe: Probe, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Object maps (B, 64, 64) and numbers of style, light, medium (B, 3) of pictures (B, 256, 256, 3)."""
    reading = probe(to_input(pixels))
    labels = torch.stack([getattr(reading, name).argmax(1) for name in NAMES], 1)
    return reading.objects.argmax(1).numpy().astype(np.uint8), labels.numpy()


def main() -> None:
    """Trains on the shards of `renders/`."""
    args = training.arguments(__doc__, seed=SEED, steps=2500, batch=16, report=100)
    probe = Probe().to(memory_format=torch.channels_last)
    optimiser = training.Optimiser([probe], RATE, 1e-2)
    averaged = [p.detach().clone() for p in probe.parameters()]
    path, parts = args.run / "probe.pt", {"probe": probe, "optimiser": optimiser}
    first = training.resume(path, averaged, **parts)
    log, sums = training.Log(path.with_suffix(".jsonl")), np.zeros(4)
    per_shard = SHARD // args.batch
    for step in range(first, args.steps):
        turn, place = divmod(step, per_shard)
        index = turn % args.shards
        order = np.random.default_rng([SEED, 1, turn]).permutation(SHARD)[place * args.batch :][: args.batch]
        rng = np.random.default_rng([SEED, 2, step])
        x = disturb(to_input(open_shard(args.run, index)[np.sort(order)]), rng, training.generator(SEED, step))
        objects = torch.from_numpy(shard_maps(args.run, index)[np.sort(order)].astype(np.int64))
        labels = torch.tensor([true_labels(index * SHARD + int(i)) for i in np.sort(order)])
        if rng.random() < 0.5:
            x, objects = x.flip(3), objects.flip(2)
        with training.quick():
            reading = probe(x.contiguous(memory_format=torch.channels_last))
        losses = [cross_entropy(reading.objects.float(), objects)]
        losses += [cross_entropy(scores.float(), labels[:, i]) for i, scores in enumerate(reading[1:])]
        loss = losses[0] + 0.3 * (losses[1] + losses[2] + losses[3])
        optimiser.step(loss, training.rate(step, args.steps, RATE))
        training.average(averaged, probe.parameters(), step)
        sums += [part.item() for part in losses]
        if (step + 1) % args.report == 0:
            mean = (sums / args.report).round(4).tolist()
            log(step=step + 1, **dict(zip(("objects", *NAMES), mean, strict=True)))
            sums[:] = 0
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            training.keep(path, step + 1, averaged, **parts)
    write_probe(args.run / "probe.npz", averaged)


if __name__ == "__main__":
    main()
