"""What decoders do to restyled rooms: python -m models.rooms.decoders BEFORE AFTER --rooms 60 --out FILE.json.

The second package, or --run's where it is another with the same latents, restyles held-out rooms as `evaluate` does;
each package's own decoder draws the same latents. So what differs between the two is the decoder's doing alone, at half
of the time that `evaluate` takes for both.
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image

import partway
from partway.model.networks import Array, Networks
from partway.pictures.images import to_pil
from partway_rooms import HELD_OUT

from . import GUIDANCE
from .evaluate import Restyled, curves, restyled
from .probe import KEPT, load_probe


class Decoded:
    """A pipeline whose pictures another package's decoder draws.

    latents: those of pictures that were made before, by seed and strength; shared by all that decode them
    """

    def __init__(self, pipe: Any, decoder: Any, latents: dict[tuple[int, float], Array]) -> None:
        self.pipe, self.networks, self.latents = pipe, Networks(decoder.engine, decoder.package), latents

    def img2img(self, picture: Image.Image, prompt: str, *, seed: int, strength: float, **settings: Any) -> Any:
        """As `Pipeline.img2img`, of which only the picture is there."""
        key = (seed, strength)
        if key not in self.latents:
            made = self.pipe.img2img(picture, prompt, seed=seed, strength=strength, decode=False, **settings)
            self.latents[key] = made.latents.values
        return SimpleNamespace(image=to_pil(self.networks.decode_image(self.latents[key]))[0])


def main() -> None:
    """Measures, writing what is known after every room."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs=2)
    parser.add_argument("--run", default=None, help="the package that makes the latents, if not AFTER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--rooms", type=int, default=60)
    parser.add_argument("--strengths", type=float, nargs="+", default=(0.2, 0.45, 0.8))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pipes = [partway.load(folder, engine=args.engine, threads=args.threads) for folder in args.packages]
    run = partway.load(args.run, engine=args.engine, threads=args.threads) if args.run else pipes[1]
    latents: dict[tuple[int, float], Array] = {}
    decoders = {name: Decoded(run, pipe, latents) for name, pipe in zip(("before", "after"), pipes, strict=True)}
    rooms: dict[str, list[Restyled]] = {name: [] for name in decoders}
    probe, settings = load_probe(KEPT), {"steps": args.steps, "guidance_scale": args.guidance}
    for count in range(1, args.rooms + 1):
        latents.clear()
        for name, pipe in decoders.items():
            made = restyled(pipe, probe, HELD_OUT + count - 1, args.strengths, settings)
            rooms[name].append(made._replace(images=[]))
        found = {name: curves(of, args.strengths) for name, of in rooms.items()}
        args.out.write_text(json.dumps({"settings": settings, "rooms": count} | found, indent=2) + "\n")
    print(args.out.read_text())


if __name__ == "__main__":
    main()
