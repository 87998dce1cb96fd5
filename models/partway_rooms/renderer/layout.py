"""What stands where: a room, a window, a camera and furniture, drawn at random from a seed."""

import numpy as np

from .geometry import Camera, rotation_y
from .pieces import Rng
from .placing import FACING, WALL_GAP, Layout, Placer, Room, Window, on_wall


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
