"""Pictures for the adapters: each room in two looks and as a blueprint, with the lines of both looks."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.pictures.lines import canny
from partway_rooms.renderer import Look, caption_of, sample_layout, sample_look
from partway_rooms.renderer.media import MEDIUM
from partway_rooms.renderer.render import View, finish, scene_of, view

from .blueprint import blueprint, caption

FIRST = 20_000  # rooms from this number on; the model was trained on those below
OTHER = 1_000_000  # between the numbers of a room's two looks
VARIANTS = 4  # captions of a picture


class Room(NamedTuple):
    """One room: two looks and a blueprint (3, 256, 256, 3) uint8, their captions, lines (2, 256, 256) bool."""

    pixels: NDArray[np.uint8]
    captions: list[list[str]]
    lines: NDArray[np.bool_]


def mirrored(room: Room) -> Room:
    """The same from left to right, which captions do not tell apart."""
    return Room(room.pixels[:, :, ::-1], room.captions, room.lines[:, :, ::-1])


def looks_of(number: int) -> tuple[Look, Look]:
    """A room's own look and another, of the same light and medium every second time."""
    own = sample_look(number)
    light, medium = (own.light, own.medium) if number % 2 else (None, None)
    return own, sample_look(number + OTHER, light=light, medium=medium)


def draw(number: int) -> Room:
    """Draws a room; its shape is found once for all three pictures."""
    layout = sample_layout(number)
    scene, looks = scene_of(layout), looks_of(number)
    views: list[View] = [view(scene, look) for look in looks]
    pixels = [finish(v.drawing, MEDIUM[look.medium], look.seed) for v, look in zip(views, looks, strict=True)]
    lines = np.stack([canny(picture) > 0 for picture in pixels])
    texts = [
        [caption_of(layout, look, v.names, variant) for variant in range(VARIANTS)]
        for v, look in zip(views, looks, strict=True)
    ]
    texts.append([caption(layout, looks[0], views[0].names, variant) for variant in range(VARIANTS)])
    pixels.append(finish(views[0].drawing, blueprint, looks[0].seed))
    return Room(np.stack(pixels), texts, lines)


@contextmanager
def rooms(workers: int, seconds: float, most: int) -> Iterator[Iterator[Room]]:
    """Rooms as several processes draw them, until the time is up or there are enough; the order is theirs."""
    ends = time.monotonic() + seconds

    def drawn(pool: "multiprocessing.pool.Pool") -> Iterator[Room]:
        for room in pool.imap_unordered(draw, range(FIRST, FIRST + most)):
            yield room
            if time.monotonic() > ends:
                return

    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield drawn(pool)
