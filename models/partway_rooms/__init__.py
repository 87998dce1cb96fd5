"""The built-in model, ``rooms``: a small Stable Diffusion that knows living rooms, and the renderer that it was
trained on. NumPy and Pillow alone; how it was made is in ``models/rooms``.
"""

from pathlib import Path
from typing import NamedTuple

from PIL import Image

PACKAGES = Path(__file__).parent  # where the models lie that come with partway, each in a folder of its own
FOLDER = PACKAGES / "package"  # what `partway.load` opens
HELD_OUT = 10_000_000  # rooms from this number on are never trained on


class Room(NamedTuple):
    """A drawn living room, RGB, and what it shows in words."""

    picture: Image.Image
    caption: str


def room(number: int = 0, *, size: int = 256) -> Room:
    """One of the rooms that the model has never seen, the same for the same number (0 .. ), ``size`` pixels square."""
    from partway_rooms.renderer import render, sample_layout, sample_look

    seed = HELD_OUT + number
    drawn = render(sample_layout(seed), sample_look(seed), size)
    return Room(Image.fromarray(drawn.pixels), drawn.caption)
