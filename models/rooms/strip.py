"""The picture at the top of the README: ``python -m models.rooms.strip OUT.jpg``.

A room that the built-in few-step model has never seen, a prompt a row, the strength written under each column.
"""

import argparse
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

import partway
from partway_rooms import room

MODEL = "rooms-lcm"
PROMPTS = (
    "photo of an art deco living room, warm light",
    "photo of a japandi living room, daylight",
    "photo of a coastal living room, daylight",
)
ROOM = 29  # a photo of a mid-century room
STRENGTHS = (0.3, 0.45, 0.65, 0.8)
SIDE, GAP, FONT = 208, 8, 22  # pixels
PAPER, INK = "#fdfcf9", "#22303c"


def strip(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str]) -> Image.Image:
    """Pictures side by side, SIDE pixels square, and a label under each column; RGB."""
    width, height = len(labels) * (SIDE + GAP) + GAP, len(rows) * (SIDE + GAP) + 2 * GAP + FONT
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(labels):
        x = GAP + column * (SIDE + GAP)
        for line, row in enumerate(rows):
            shown = row[column].resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(shown, (x, GAP + line * (SIDE + GAP)))
        draw.text((x + SIDE // 2, height - GAP), label, INK, ImageFont.load_default(FONT), anchor="mb")
    return sheet


def main() -> None:
    """Draws the room, restyles it at every strength and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    args = parser.parse_args()
    pipe, picture = partway.load(MODEL), room(ROOM).picture
    rows = [
        [picture, *(pipe.img2img(picture, prompt, strength=strength, seed=1).image for strength in STRENGTHS)]
        for prompt in PROMPTS
    ]
    labels = ["your picture", *(f"strength {strength:g}" for strength in STRENGTHS)]
    strip(rows, labels).save(args.out, quality=92)


if __name__ == "__main__":
    main()
