"""What a layout is, and the rule that things do not stand in each other."""

from typing import NamedTuple

import numpy as np

from .geometry import Camera
from .pieces import Rng, Size

WALL_GAP = 0.06
Rect = tuple[float, float, float, float]  # left, right, near, far on the floor, metres
FACING = {"back": 0.0, "left": -np.pi / 2, "right": np.pi / 2}


class Room(NamedTuple):
    """Inside of the room: x in [-width/2, width/2], y in [0, height], z up to depth (the back wall)."""

    width: float
    height: float
    depth: float


class Item(NamedTuple):
    """One piece of furniture: where it stands, how it is turned, and the seed of its details."""

    kind: str
    at: tuple[float, float, float]
    yaw: float
    size: Size
    seed: int


class Window(NamedTuple):
    """A window: which wall, its middle along that wall, its sill, its size, its panes."""

    wall: str  # back, left, right
    along: float
    sill: float
    width: float
    height: float
    panes: tuple[int, int]
    curtains: bool


class Layout(NamedTuple):
    """Everything about a room that no style can change."""

    room: Room
    camera: Camera
    window: Window
    items: tuple[Item, ...]


def on_wall(room: Room, wall: str, along: float, out: float) -> tuple[float, float]:
    """Floor position (x, z) of a point `along` a wall and `out` from it."""
    if wall == "back":
        return along, room.depth - out
    return (out - room.width / 2, along) if wall == "left" else (room.width / 2 - out, along)


def footprint(item: Item) -> Rect:
    """Bounding rectangle of an item on the floor."""
    c, s = abs(np.cos(item.yaw)), abs(np.sin(item.yaw))
    wide, deep = item.size[0] * c + item.size[2] * s, item.size[0] * s + item.size[2] * c
    x, _, z = item.at
    return x - wide / 2, x + wide / 2, z - deep / 2, z + deep / 2


class Placer:
    """Collects items, refusing those that would stand in another or outside the room."""

    def __init__(self, room: Room, rng: Rng) -> None:
        self.room, self.rng = room, rng
        self.items: list[Item] = []
        self.taken: list[Rect] = []

    def add(self, kind: str, at: tuple[float, float, float], yaw: float, size: Size, *, solid: bool = True) -> bool:
        """Places an item if it fits; says whether it did."""
        item = Item(kind, at, yaw, size, int(self.rng.integers(1 << 31)))
        left, right, near, far = footprint(item)
        clear = near > 1.45 or not solid  # nothing stands in front of the lens
        inside = clear and left > -self.room.width / 2 and right < self.room.width / 2 and far < self.room.depth + 0.01
        free = all(left > r or right < o or near > f or far < n for o, r, n, f in self.taken)
        if solid and not (inside and free):
            return False
        if solid:
            self.taken.append((left, right, near, far))
        self.items.append(item)
        return True

    def against(self, kind: str, size: Size, walls: list[str], tries: int = 6) -> Item | None:
        """Places an item with its back to one of the walls."""
        for _ in range(tries):
            wall = str(self.rng.choice(walls))
            reach = self.room.width / 2 - size[0] / 2 - 0.1
            low, high = (-reach, reach) if wall == "back" else (1.6 + size[0] / 2, self.room.depth - size[0] / 2 - 0.1)
            if low < high:
                x, z = on_wall(self.room, wall, self.rng.uniform(low, high), size[2] / 2 + WALL_GAP)
                if self.add(kind, (x, 0.0, z), FACING[wall], size):
                    return self.items[-1]
        return None
