"""What stands where: a room, a window, a camera and furniture, drawn at random from a seed."""

from typing import NamedTuple

import numpy as np

from .furniture import BUILD, KIND, Rng, Size, solid
from .geometry import Camera, Part, rotation_y

WALL_GAP = 0.06
Rect = tuple[float, float, float, float]  # left, right, near, far on the floor, metres


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


FACING = {"back": 0.0, "left": -np.pi / 2, "right": np.pi / 2}


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


def seating(place: Placer, wall: str) -> None:
    """A sofa against a wall, with a rug, a table, armchairs, side tables and lamps around it."""
    rng, room = place.rng, place.room
    u = rng.uniform
    size = (u(1.7, 2.35), u(0.78, 0.95), u(0.86, 1.0))
    along = u(-0.16, 0.16) * room.width if wall == "back" else max(u(0.52, 0.66) * room.depth, size[0] / 2 + 1.5)
    x, z = on_wall(room, wall, along, size[2] / 2 + WALL_GAP)
    place.add("sofa", (x, 0.0, z), FACING[wall], size)
    turn = rotation_y(FACING[wall])
    front, side = -turn[:, 2], turn[:, 0]

    def local(ahead: float, across: float) -> tuple[float, float, float]:
        spot = np.array([x, 0, z]) + front * ahead + side * across
        return float(spot[0]), 0.0, float(spot[2])

    wide, deep = u(0.75, 1.15), u(0.5, 0.65)
    if rng.random() < 0.4:
        wide = deep = u(0.65, 0.9)
    middle = size[2] / 2 + 0.38 + deep / 2
    place.add("coffee table", local(middle, u(-0.1, 0.1)), FACING[wall], (wide, u(0.36, 0.45), deep))
    if rng.random() < 0.85:
        rug = (u(1.9, 2.7), 0.0, u(1.3, 1.9)) if rng.random() < 0.75 else (2.0, 0.0, 2.0)
        place.add("rug", local(middle + u(-0.05, 0.25), 0), FACING[wall], rug, solid=False)
    for hand in rng.permutation([-1, 1])[: rng.choice([0, 1, 2], p=[0.15, 0.55, 0.3])]:
        away = wide / 2 + u(0.72, 0.95)
        yaw = FACING[wall] + hand * (np.pi / 2 - u(-0.1, 0.75))
        place.add("armchair", local(middle + u(-0.1, 0.35), hand * away), yaw, (u(0.76, 0.9), u(0.78, 0.92), 0.82))
    hand = int(rng.choice([-1, 1]))
    if rng.random() < 0.75:
        tall = u(0.48, 0.6)
        spot = local(u(-0.1, 0.15), hand * (size[0] / 2 + 0.32))
        if place.add("side table", spot, FACING[wall], (0.42, tall, 0.42)) and rng.random() < 0.8:
            place.add("table lamp", (spot[0], tall, spot[2]), 0.0, (0.3, 0.5, 0.3), solid=False)
    if rng.random() < 0.6:
        spot = local(u(-0.2, 0.1), -hand * (size[0] / 2 + 0.3))
        place.add("floor lamp", spot, 0.0, (0.4, u(1.45, 1.75), 0.4))
    if rng.random() < 0.35:
        spot = local(middle + deep / 2 + u(0.35, 0.6), u(-0.5, 0.5))
        place.add("pouf", spot, u(0, 1), (0.5, u(0.34, 0.42), 0.5))
    if rng.random() < 0.4:
        x0, _, z0 = local(middle, 0)
        place.add("pendant lamp", (x0, room.height, z0), 0.0, (u(0.34, 0.5), u(0.5, 0.85), 0.4), solid=False)


def pick_window(rng: Rng, room: Room, sofa_wall: str) -> Window:
    """A window on the back wall beside or above the sofa, or on a side wall."""
    others = [wall for wall in ("left", "right") if wall != sofa_wall]
    wall = "back" if rng.random() < (0.4 if sofa_wall == "back" else 0.75) else str(rng.choice(others))
    width = rng.uniform(1.1, 2.0)
    sill = rng.uniform(0.85, 1.0) if wall == "back" and sofa_wall == "back" else rng.uniform(0.2, 0.9)
    height = min(rng.uniform(1.2, 1.9), room.height - sill - 0.3)
    reach = room.width / 2 - width / 2 - 0.3
    along = rng.uniform(-reach, reach) if wall == "back" else rng.uniform(2.2, room.depth - width / 2 - 0.4)
    panes = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    return Window(wall, along, sill, width, height, panes, bool(rng.random() < 0.75))


def hang(place: Placer, window: Window) -> None:
    """Pictures on the back wall above what stands there, where no window or bookcase is."""
    rng, room = place.rng, place.room
    for item in [i for i in place.items if i.kind in ("sofa", "sideboard") and abs(i.yaw) < 0.01]:
        tall_tv = any(i.kind == "television" and abs(i.at[0] - item.at[0]) < 1 for i in place.items)
        count = int(rng.choice([1, 2, 3], p=[0.45, 0.25, 0.3]))
        wide = rng.uniform(0.75, 1.3) if count == 1 else rng.uniform(0.36, 0.55)
        high = rng.uniform(0.5, 0.75) if count == 1 else wide * rng.uniform(1.1, 1.4)
        gap, middle = wide + rng.uniform(0.08, 0.16), max(1.3, item.size[1] + 0.3) + high / 2
        if rng.random() < 0.15 or tall_tv or middle + high / 2 > room.height - 0.1:
            continue
        for i in range(count):
            x = item.at[0] + (i - (count - 1) / 2) * gap
            clash = window.wall == "back" and abs(x - window.along) < (wide + window.width) / 2 + 0.35
            behind = any(i.kind in ("bookcase", "floor lamp") and abs(i.yaw) < 0.01 and abs(i.at[0] - x) <
                         (wide + i.size[0]) / 2 and i.at[2] > room.depth - 1 for i in place.items)  # fmt: skip
            if not clash and not behind and abs(x) + wide / 2 < room.width / 2:
                place.add("picture", (x, middle, room.depth), 0.0, (wide, high, 0.0), solid=False)


def sample_layout(seed: int) -> Layout:
    """A living room from a seed; the same seed gives the same room."""
    rng = np.random.default_rng([seed, 1])
    u = rng.uniform
    room = Room(u(3.8, 5.0), u(2.4, 2.8), u(4.0, 5.1))
    place = Placer(room, rng)
    wall = str(rng.choice(["back", "left", "right"], p=[0.74, 0.13, 0.13]))
    seating(place, wall)
    window = pick_window(rng, room, wall)
    clear = [w for w in ("back", "left", "right") if w != window.wall]
    if rng.random() < (0.5 if wall == "back" else 0.8):
        board = place.against("sideboard", (u(1.2, 1.8), u(0.5, 0.75), 0.42), clear)
        if board and rng.random() < 0.7:
            x, _, z = board.at
            screen = (min(board.size[0] * 0.8, 1.3), 0.62, 0.1)
            place.add("television", (x, board.size[1], z), board.yaw, screen, solid=False)
        elif board:
            place.add("table lamp", (board.at[0], board.size[1], board.at[2]), 0.0, (0.3, 0.5, 0.3), solid=False)
    if rng.random() < 0.75:
        place.against("bookcase", (u(0.8, 1.5), u(1.6, 2.2), 0.32), clear)
    corners = [(-1, room.depth - 0.36), (1, room.depth - 0.36), (-1, 2.5), (1, 2.5)]
    for index in rng.permutation(4)[: rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25])]:
        hand, z = corners[int(index)]
        spot = (hand * (room.width / 2 - 0.36), 0.0, z + u(-0.1, 0.1))
        place.add("plant", spot, u(0, 6), (0.5, u(0.8, 1.7), 0.5))
    if not any(i.kind.endswith("lamp") for i in place.items):
        place.add("pendant lamp", (0.0, room.height, room.depth * 0.6), 0.0, (0.42, 0.6, 0.4), solid=False)
    hang(place, window)
    aside = {"back": 0.0, "left": 0.25, "right": -0.25}[wall] * room.width
    eye = (u(-0.2, 0.2) * room.width + aside, u(1.2, 1.6), u(-0.5, 0.1))
    target = u(-0.1, 0.1) * room.width - aside * 0.6
    yaw = float(np.arctan2(target - eye[0], room.depth * 0.75 - eye[2]))
    return Layout(room, Camera(eye, yaw, u(0.8, 0.98), u(0.42, 0.48)), window, tuple(place.items))


def window_parts(layout: Layout) -> list[Part]:
    """Pane, frame, bars, sill, rail and curtains of the window."""
    room, window = layout.room, layout.window
    w, h, thin = window.width, window.height, 0.05
    local = [solid("box", (0, h / 2, -0.005), (w, h, 0.01), "outside", "window")]
    local += [solid("box", (s * w / 2, h / 2, -0.03), (thin, h + thin, 0.06), "trim", "window") for s in (-1, 1)]
    local += [solid("box", (0, y, -0.03), (w + thin, thin, 0.06), "trim", "window") for y in (0, h)]
    across, up = window.panes
    local += [solid("box", (w * (i / across - 0.5), h / 2, -0.02), (0.03, h, 0.04), "trim", "window")
              for i in range(1, across)]  # fmt: skip
    local += [solid("box", (0, h * i / up, -0.02), (w, 0.03, 0.04), "trim", "window") for i in range(1, up)]
    local.append(solid("box", (0, -0.04, -0.08), (w + 0.16, 0.035, 0.16), "trim", "window", blocks=True))
    if window.curtains:
        drop = window.sill + h + 0.12
        at = -window.sill + drop / 2 + 0.03
        for s in (-1, 1):
            local.append(solid("box", (s * (w / 2 + 0.14), at, -0.13), (0.36, drop, 0.07), "curtain", "curtain",
                               soft=0.03, blocks=True))  # fmt: skip
        rail = (w + 0.8, 0.03, 0.03)
        local.append(solid("box", (0, h + 0.14, -0.13), rail, "metal", "curtain"))
    x, z = on_wall(room, window.wall, window.along, 0)
    return [place_part(p, (x, window.sill, z), FACING[window.wall]) for p in local]


def place_part(part: Part, at: tuple[float, float, float], yaw: float) -> Part:
    """Moves a part from its item's axes to the room."""
    turn = rotation_y(yaw)
    x, y, z = turn @ np.array(part.centre, np.float32) + np.array(at, np.float32)
    return part._replace(centre=(float(x), float(y), float(z)), turn=turn @ part.turn)


def parts_of(layout: Layout) -> list[Part]:
    """Every solid of the room, in drawing order."""
    parts = window_parts(layout)
    for item in layout.items:
        built = BUILD[item.kind](item.size, np.random.default_rng([item.seed, 3]))
        parts += [place_part(p, item.at, item.yaw) for p in built]
    return parts


def kinds_in(layout: Layout) -> set[str]:
    """Names of the furniture in the layout."""
    extra = {"window"} | ({"curtain"} if layout.window.curtains else set())
    return {item.kind for item in layout.items} | extra


__all__ = ["KIND", "Item", "Layout", "Room", "Window", "kinds_in", "parts_of", "sample_layout"]
