"""What each pixel sees: solids to depth, normals and object classes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .geometry import FAR, Array, Part, Rays, draw_part, make_rays, surface
from .parts import parts_of
from .pieces import KIND
from .placing import Layout
from .shading import Surface

OVERSAMPLE = 1.5  # pixels rendered per pixel shown, along each side
ROOM_KINDS = (KIND["floor"], KIND["ceiling"], KIND["wall"], KIND["wall"], KIND["wall"])
ROOM_NORMALS = np.array([(0, 1, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0), (-1, 0, 0)], np.float32)


class Seen(NamedTuple):
    """What each pixel sees, flattened: depth (n,), owner (n,) (0 to 4 the room, 5 and up the parts), uv, surface."""

    depth: Array
    owner: NDArray[np.int16]
    uv: Array
    surface: Surface


def cast(layout: Layout, parts: list[Part], rays: Rays) -> tuple[Array, NDArray[np.int16], list[Array]]:
    """Casts every ray at the room and its furniture: depth and owner (H, W), and the three axes of the directions."""
    room = layout.room
    height, width = len(rays.v), len(rays.u)
    direction = [rays.ahead[i] + rays.right[i] * rays.u[None, :] + np.zeros((height, 1), np.float32) for i in (0, 2)]
    direction.insert(1, np.broadcast_to(rays.v[:, None], (height, width)))
    x, y, z = (np.where(d == 0, np.float32(1e-9), d) for d in direction)
    to_side = (np.sign(x) * np.float32(room.width / 2) - rays.eye[0]) / x
    to_level = (np.where(y > 0, np.float32(room.height), 0) - rays.eye[1]) / y
    to_back = np.where(z > 0, (np.float32(room.depth) - rays.eye[2]) / z, FAR)
    depth = np.minimum(np.minimum(to_side, to_level), to_back)
    owner = np.where(depth == to_level, np.where(y > 0, 1, 0), np.where(depth == to_back, 2, np.where(x < 0, 3, 4)))
    owner = owner.astype(np.int16)
    for index, part in enumerate(parts):
        draw_part(part, index + 5, rays, depth, owner)
    return depth, owner, direction


def look_around(layout: Layout, parts: list[Part], rays: Rays) -> Seen:
    """What each ray hits, with normals and surface coordinates."""
    depth, owner, direction = cast(layout, parts, rays)
    width, flat, flat_owner = len(rays.u), depth.ravel(), owner.ravel()
    point = np.stack([rays.eye[i] + flat * direction[i].ravel() for i in range(3)])
    normal, uv = np.empty_like(point), np.empty((2, flat.size), np.float32)
    for index, where in groups(flat_owner):
        if index < 5:
            normal[:, where] = ROOM_NORMALS[index][:, None]
            axes = ([0, 2], [0, 2], [0, 1], [2, 1], [2, 1])[index]
            uv[:, where] = point[axes][:, where]
        else:
            u, v = rays.u[where % width], rays.v[where // width]
            normal[:, where], uv[:, where] = surface(parts[index - 5], rays, flat[where], u, v)
    return Seen(flat, flat_owner, uv, Surface(point, normal))


def shown_pixels(size: int) -> tuple[int, NDArray[np.intp]]:
    """How many pixels are cast along a side, and which of them stand for the pixels shown."""
    side = round(size * OVERSAMPLE)
    return side, ((np.arange(size) + 0.5) * side / size).astype(np.intp)


def kinds_of(parts: list[Part], owner: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Object classes from owners."""
    return np.array([*ROOM_KINDS, *(p.kind for p in parts)], np.uint8)[owner]


def object_map(layout: Layout, size: int = 256) -> NDArray[np.uint8]:
    """The object class of each pixel, (size, size); the same map that `render` returns with any look."""
    parts, (side, pick) = parts_of(layout), shown_pixels(size)
    owner = cast(layout, parts, make_rays(layout.camera, side, side))[1]
    return kinds_of(parts, owner[pick][:, pick])


def groups(labels: NDArray[np.int16]) -> list[tuple[int, NDArray[np.intp]]]:
    """Each label that occurs with the places where it does."""
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return [(int(labels[where[0]]), where) for where in np.split(order, cuts)]
