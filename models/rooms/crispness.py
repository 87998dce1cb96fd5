"""How crisp packages' round trips are: python -m models.rooms.crispness BEFORE AFTER --rooms 200 --out FILE.json.

Each PACKAGE encodes and decodes held-out rooms in partway itself. Printed and written are, for every package: PSNR, the
share of the renders' gradient energy, and of their luma's power, that is kept in each of the upper two octaves
(medians), the Frechet distance of the probe's features between round trips and renders, how far pictures overshoot the
renders' edges, and the marks that upsampling leaves at periods of 2, 4 and 8 pixels (over the renders' own; 1 is none).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import partway
from partway.model.networks import Networks
from partway_rooms import HELD_OUT
from partway_rooms.renderer import MEDIA, sample_look

from .detail import frechet, grid_peaks, octave_energies, overshoot, psnr
from .probe import KEPT, Probe, load_probe
from .renders import picture
from .training import to_input

PERIODS = (2, 4, 8)


def round_trip(networks: Networks, shape: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    """A picture (1, 3, H, W) in [-1, 1] encoded, with no noise drawn, and decoded."""
    latents = networks.to_latents(networks.encode_image(x.numpy()), np.zeros(shape, np.float32))
    return torch.from_numpy(networks.decode_image(latents)).clamp(-1, 1)


@torch.no_grad()
def features(probe: Probe, x: torch.Tensor) -> torch.Tensor:
    """What the probe's heads read pictures (B, 3, H, W) by, (B, 256)."""
    levels = [x]
    for down in probe.down:
        levels.append(down(levels[-1]))
    return torch.cat([levels[-1].mean((2, 3)), levels[3].mean((2, 3))], 1)


def measures(y: torch.Tensor, x: torch.Tensor) -> dict[str, float]:
    """The figures of one round trip, y, beside its render, x."""
    kept = (octave_energies(y) / octave_energies(x))[0].tolist()
    power = (octave_energies(y, gradient=False) / octave_energies(x, gradient=False))[0].tolist()
    found = {"psnr": float(psnr(y, x)), "kept_finest": kept[0], "kept_second": kept[1]}
    found |= {"kept_power_finest": power[0], "kept_power_second": power[1]}
    found["overshoot"] = float(overshoot(y, x))
    peaks = {f"grid_{period}": (grid_peaks(y, period), grid_peaks(x, period)) for period in PERIODS}
    return found | {name: float(of_y.log() - of_x.log()) for name, (of_y, of_x) in peaks.items()}


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of what is measured in dB and levels, medians of shares, and geometric means of the marks."""
    found = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        if name.startswith("kept"):
            found[name] = float(np.median(values))
        elif name.startswith("grid"):
            found[name] = float(np.exp(values.mean()))
        else:
            found[name] = float(values.mean())
    return found


def rooms(
    package: str, renders: Sequence[torch.Tensor], engine: str, threads: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Round trips and renders."""
    pipe = partway.load(package, engine=engine, threads=threads)
    networks, shape = Networks(pipe.engine, pipe.package), pipe.package.latent_shape(256, 256)
    for x in renders:
        yield round_trip(networks, shape, x), x


def measured(package: str, probe: Probe, renders: Sequence[torch.Tensor], args: argparse.Namespace) -> dict[str, Any]:
    """All figures of a package on the first held-out rooms, and those of each medium."""
    rows, seen = [], []
    for y, x in rooms(package, renders, args.engine, args.threads):
        rows.append(measures(y, x))
        seen.append(torch.cat([features(probe, y), features(probe, x)]))
    both = torch.stack(seen, 1).double().numpy()
    media: dict[str, list[dict[str, float]]] = {}
    for seed, row in enumerate(rows, HELD_OUT):
        media.setdefault(sample_look(seed).medium, []).append(row)
    return summary(rows) | {
        "frechet": frechet(both[0], both[1]),
        "media": {name: summary(media[name]) for name in MEDIA if name in media},
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """One Markdown row a measure, one column a package."""
    names = [name for name in next(iter(results.values())) if name != "media"]
    lines = ["| | " + " | ".join(results) + " |", "|---|" + "---:|" * len(results)]
    lines += [f"| {name} | " + " | ".join(f"{r[name]:.3f}" for r in results.values()) + " |" for name in names]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures each package and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--names", nargs="*", default=["before", "after"])
    parser.add_argument("--probe", type=Path, default=KEPT)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rooms", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    probe = load_probe(args.probe)
    renders = [to_input(picture(seed).pixels[None]) for seed in range(HELD_OUT, HELD_OUT + args.rooms)]
    named = zip(args.names, args.packages, strict=False)
    results = {name: measured(package, probe, renders, args) for name, package in named}
    print(table(results))
    if args.out:
        args.out.write_text(json.dumps({"rooms": args.rooms} | results, indent=2) + "\n")


if __name__ == "__main__":
    main()
