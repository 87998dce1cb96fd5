"""Light that reaches a surface: window, sun, lamps, coloured tubes, and what stands in their way."""

from typing import NamedTuple

import numpy as np

from .geometry import Array, Part, to_unit
from .lights import Light
from .placing import Layout, Window, on_wall

OPACITY = np.float32(7.0)  # light lost per metre of furniture in its way; short chords make soft edges


class Surface(NamedTuple):
    """Places in the room, (3, n), and their normals, (3, n)."""

    point: Array
    normal: Array


class Source(NamedTuple):
    """A light at a place; `facing` (3,) narrows it to one side, or None for all round."""

    at: Array
    colour: Array
    facing: Array | None
    reach: float  # squared metres added to the squared distance: the size of the source
    share: float


def outward(wall: str) -> Array:
    """Direction out of the room through a wall, (3,)."""
    return np.array({"back": (0, 0, 1), "left": (-1, 0, 0), "right": (1, 0, 0)}[wall], np.float32)


def window_spots(layout: Layout) -> list[Array]:
    """Two places on the window that stand for its area, (3,) each."""
    window, spots = layout.window, []
    for share in (-0.27, 0.27):
        x, z = on_wall(layout.room, window.wall, window.along + share * window.width, 0.02)
        spots.append(np.array([x, window.sill + window.height * 0.6, z], np.float32))
    return spots


def sources(layout: Layout, light: Light, parts: list[Part]) -> list[Source]:
    """Every light of the room except the sun."""
    area = layout.window.width * layout.window.height
    colour = np.array(light.window, np.float32) * np.float32(area)
    inward = -outward(layout.window.wall)
    found = [Source(spot, colour, inward, 0.9, 0.5) for spot in window_spots(layout)]
    lamps = [p for p in parts if p.slot == "shade"]
    if sum(light.lamp) > 0:
        strength = np.array(light.lamp, np.float32) / np.float32(len(lamps) ** 0.6)
        found += [Source(np.array(p.centre, np.float32), strength, None, 0.12, 1.0) for p in lamps]
    for side, strip in zip((-1, 1), light.strips, strict=True):
        if sum(strip) > 0:
            x = side * (layout.room.width / 2 - 0.15)
            for z in (0.45, 0.85):
                at = np.array([x, layout.room.height - 0.2, layout.room.depth * z], np.float32)
                found.append(Source(at, np.array(strip, np.float32), None, 0.4, 0.5))
    return found


def blocked(surface: Surface, parts: list[Part], spots: list[Array], away: Array | None) -> tuple[list[Array], Array]:
    """How much of each light reaches each point, and how much of the surroundings.

    `spots` are places of lights, `away` a direction to a light at infinity (appended last). Furniture is taken as
    boxes; a ray is dimmed by the length of its way through them, which needs one ray a light and leaves no noise.
    Returns transmittances (n,) in [0, 1], one a light, and the ambient factor (n,).
    """
    solids = [p for p in parts if p.blocks]
    count = len(spots) + (away is not None)
    loss = [np.zeros(surface.point.shape[1], np.float32) for _ in range(count)]
    open_sky = np.ones(surface.point.shape[1], np.float32)
    reach = [np.sqrt(((spot[:, None] - surface.point) ** 2).sum(axis=0)) for spot in spots]
    for part in solids:
        matrix, offset = to_unit(part)
        o = matrix @ surface.point + offset[:, None]
        half = np.array(part.half, np.float32)[:, None]
        gap = (np.clip(o, -1, 1) - o) * half
        distance = np.sqrt((gap * gap).sum(axis=0)) + np.float32(1e-4)
        facing = (gap * (part.turn.T @ surface.normal)).sum(axis=0) / distance
        open_sky *= 1 - np.float32(0.78) * np.maximum(facing, 0) * np.exp(distance * np.float32(-1 / 0.22))
        for i in range(count):
            if i < len(spots):
                d = (matrix @ spots[i] + offset)[:, None] - o
                end, long = np.float32(1), reach[i]
            else:
                assert away is not None
                d = np.broadcast_to((matrix @ away)[:, None], o.shape)
                end, long = np.float32(50), np.float32(3.0)
            inverse = 1 / (d + np.float32(1e-7))
            middle, half_way = -o * inverse, np.abs(inverse)
            near = np.maximum((middle - half_way).max(axis=0), 0)
            far = np.minimum((middle + half_way).min(axis=0), end)
            loss[i] += np.maximum(far - near, 0) * long
    return [np.exp(-OPACITY * x) for x in loss], open_sky


def corners(surface: Surface, layout: Layout) -> Array:
    """Darkening where walls, floor and ceiling meet, (n,)."""
    x, y, z = surface.point
    nx, ny, nz = surface.normal
    room, out = layout.room, np.ones_like(x)
    near = ((x + room.width / 2, nx), (room.width / 2 - x, -nx), (y, ny), (room.height - y, -ny), (room.depth - z, -nz))
    for distance, facing in near:
        out *= 1 - np.float32(0.32) * (1 - facing) * np.exp(distance * np.float32(-1 / 0.3))
    return out


def towards_sun(window: Window, light: Light, lean: float) -> Array:
    """Direction to the sun or moon: outside the window, at the light's height, turned aside by `lean` radians."""
    out = outward(window.wall)
    aside = np.array([out[2], 0, -out[0]], np.float32)
    flat = out * np.cos(lean) + aside * np.sin(lean)
    return np.asarray(flat * np.cos(light.height) + np.array([0, np.sin(light.height), 0]), np.float32)


def in_window(point: Array, direction: Array, layout: Layout, soft: float) -> Array:
    """Share of light from outside in a direction (3,) or (3, n) that enters through the panes, (n,)."""
    window, out = layout.window, outward(layout.window.wall)
    axis = 2 if window.wall == "back" else 0
    plane = layout.room.depth if axis == 2 else float(out[0]) * layout.room.width / 2
    way = direction[axis] + np.float32(1e-6)
    t = (plane - point[axis]) / way
    along = point[2 - axis] + t * direction[2 - axis] - np.float32(window.along)
    up = point[1] + t * direction[1] - np.float32(window.sill)
    edge = np.float32(soft) * (0.4 + np.abs(t))

    def inside(x: Array, size: float, panes: int) -> Array:
        cover = np.clip((np.float32(size / 2) - np.abs(x)) / edge + 0.5, 0, 1)
        if panes > 1:
            pane = np.float32(size / panes)
            bar = x + np.float32(size / 2)
            bar = np.abs(bar - np.round(bar / pane) * pane)
            cover = cover * np.clip((bar - np.float32(0.02)) / edge + 0.5, 0, 1)
        return cover

    wide, high = window.width - 0.06, window.height - 0.06
    cover = inside(along, wide, window.panes[0]) * inside(up - np.float32(window.height / 2), high, window.panes[1])
    return np.where(t > 0, cover, 0)


def received(surface: Surface, source: Source) -> Array:
    """Unshadowed light of a source at each point, (n,), before its colour."""
    x = source.at[0] - surface.point[0]
    y = source.at[1] - surface.point[1]
    z = source.at[2] - surface.point[2]
    squared = x * x + y * y + z * z
    distance = np.sqrt(squared)
    cosine = (surface.normal[0] * x + surface.normal[1] * y + surface.normal[2] * z) / distance
    out = np.maximum((cosine + np.float32(0.25)) * np.float32(0.8), 0) / (squared + np.float32(source.reach))
    if source.facing is not None:
        f = source.facing
        out *= np.maximum(-(f[0] * x + f[1] * y + f[2] * z) / distance, np.float32(0.04))
    elif source.reach < 0.2:  # lampshades let most light out above and below
        out *= np.float32(0.45) + np.float32(0.9) * np.abs(y) / distance
    return out * np.float32(source.share)
