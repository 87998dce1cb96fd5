"""Two packages side by side: python -m models.rooms.beside OUT.jpg BEFORE AFTER [--rooms 10].

A row a room, two of each medium: the render, then at each strength what the one and the other package make of it with
the room's own words, from the same noise.
"""

import argparse
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

import partway
from partway_rooms import HELD_OUT, room
from partway_rooms.renderer import MEDIA, sample_look

from . import GUIDANCE

STRENGTHS = (0.2, 0.45, 0.8)
GAP, FONT = 6, 20  # pixels
PAPER, INK = "#fdfcf9", "#22303c"


def numbers(count: int) -> list[int]:
    """The first held-out rooms of each medium, as many of one as of another, medium by medium."""
    each = -(-count // len(MEDIA))
    found: dict[str, list[int]] = {medium: [] for medium in MEDIA}
    number = 0
    while min(len(rooms) for rooms in found.values()) < each:
        found[sample_look(HELD_OUT + number).medium].append(number)
        number += 1
    return [number for rooms in found.values() for number in rooms[:each]][:count]


def sheet(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str]) -> Image.Image:
    """Pictures of one size in rows, a label over each column; RGB."""
    side = rows[0][0].width
    width, top = len(labels) * (side + GAP) + GAP, FONT + 2 * GAP
    out = Image.new("RGB", (width, top + len(rows) * (side + GAP)), PAPER)
    draw = ImageDraw.Draw(out)
    for column, label in enumerate(labels):
        x = GAP + column * (side + GAP)
        draw.text((x + side // 2, GAP), label, INK, ImageFont.load_default(FONT), anchor="mt")
        for line, row in enumerate(rows):
            out.paste(row[column], (x, top + line * (side + GAP)))
    return out


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("packages", nargs=2)
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, nargs=2, default=(GUIDANCE, GUIDANCE), help="before's, and after's")
    args = parser.parse_args()
    pipes = [partway.load(package, engine=args.engine) for package in args.packages]
    rows = []
    for number in numbers(args.rooms):
        drawn = room(number)
        settings = {"steps": args.steps, "seed": number}
        made = [
            pipe.img2img(drawn.picture, drawn.caption, strength=strength, guidance_scale=scale, **settings).image
            for strength in STRENGTHS
            for pipe, scale in zip(pipes, args.guidance, strict=True)
        ]
        rows.append([drawn.picture, *made])
    labels = ["render", *(f"{strength:g} {name}" for strength in STRENGTHS for name in ("before", "after"))]
    sheet(rows, labels).save(args.out, quality=92)


if __name__ == "__main__":
    main()
