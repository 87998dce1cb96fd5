"""Convex solids, a camera and a depth buffer: which solid each pixel sees, in NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # float32 unless a double crept in; the stubs cannot tell
Vector = tuple[float, float, float]
ROUND = 1.34  # a "round" solid is the unit cube cut by a ball of this radius: rounded corners and edges
FAR = np.float32(1e9)


class Part(NamedTuple):
    """One convex solid: centre and half sizes in metres, rotation from its own axes to the room's."""

    shape: str  # box, round, cylinder, cone, ball
    centre: Vector
    half: Vector
    slot: str  # what it is made of; a style says what that looks like
    kind: int  # object class, see layout.KINDS
    turn: Array  # (3, 3)
    soft: float = 0.0  # radius in metres over which edges are shaded round
    taper: float = 0.0  # cones: radius lost from the middle to the top, as a share of the radius in the middle
    tag: int = 0  # tells two things of one slot apart (the books of two shelves, two paintings)
    blocks: bool = False  # casts shadows and occludes


class Camera(NamedTuple):
    """A camera that keeps verticals vertical: the horizon is shifted, the camera is never tilted."""

    eye: Vector
    yaw: float  # radians, positive looks right
    focal: float  # in picture widths
    horizon: float  # height of the horizon in picture heights from the top


class Rays(NamedTuple):
    """Ray directions as an affine function of the pixel: d = ahead + u[x] * right + v[y] * up; depth along d is t."""

    eye: Array
    ahead: Array
    right: Array
    u: Array  # (width,)
    v: Array  # (height,)


def rotation_y(yaw: float) -> Array:
    """Rotation about the vertical, (3, 3); yaw 0 leaves a front (-z) towards the camera."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation by roll about z, then pitch about x, then yaw about y, (3, 3)."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]], np.float32)
    z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]], np.float32)
    return np.asarray(rotation_y(yaw) @ x @ z, np.float32)


def make_rays(camera: Camera, width: int, height: int) -> Rays:
    """One ray through the middle of each pixel."""
    turn = rotation_y(camera.yaw)
    u = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / (camera.focal * width)
    v = -(np.arange(height, dtype=np.float32) + 0.5 - camera.horizon * height) / (camera.focal * width)
    return Rays(np.array(camera.eye, np.float32), turn[:, 2].copy(), turn[:, 0].copy(), u, v)


def to_unit(part: Part) -> tuple[Array, Array]:
    """Matrix (3, 3) and offset (3,) that take room coordinates to the part's unit cube."""
    matrix = part.turn.T / np.array(part.half, np.float32)[:, None]
    return matrix, -matrix @ np.array(part.centre, np.float32)


def window_of(part: Part, rays: Rays) -> tuple[slice, slice] | None:
    """Rows and columns of the picture that the part can cover; None when it is out of sight."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
    corners = (signs * np.array(part.half, np.float32)) @ part.turn.T + np.array(part.centre, np.float32) - rays.eye
    depth = corners @ rays.ahead
    width, height = len(rays.u), len(rays.v)
    if depth.max() <= 0.1:
        return None
    if depth.min() <= 0.1:
        return slice(0, height), slice(0, width)
    across, along = corners @ rays.right / depth, corners[:, 1] / depth
    left, right = np.searchsorted(rays.u, [across.min(), across.max()])
    top, bottom = np.searchsorted(-rays.v, [-along.max(), -along.min()])
    left, top = max(int(left) - 1, 0), max(int(top) - 1, 0)
    right, bottom = min(int(right) + 1, width), min(int(bottom) + 1, height)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def ball_span(o: Array, d: list[Array], radius: float) -> tuple[Array, Array]:
    """Entry and exit of rays o + t d in a ball about the origin; missing rays get an empty span."""
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    root = b * b - a * np.float32(o @ o - radius * radius)
    miss = root < 0
    root = np.sqrt(np.maximum(root, 0))
    near = (-b - root) / a
    near[miss] = FAR
    return near, (root - b) / a


def side_span(o: Array, d: list[Array], taper: float) -> tuple[Array, Array]:
    """Entry and exit of rays in the endless cylinder x^2 + z^2 <= (1 - taper y)^2."""
    r, k = np.float32(1 - taper * o[1]), np.float32(-taper)
    a = d[0] * d[0] + d[2] * d[2] - k * k * d[1] * d[1]
    a = np.maximum(a, np.float32(1e-6))
    b = o[0] * d[0] + o[2] * d[2] - r * k * d[1]
    root = b * b - a * np.float32(o[0] ** 2 + o[2] ** 2 - r * r)
    miss = root < 0
    root = np.sqrt(np.maximum(root, 0))
    near = (-b - root) / a
    near[miss] = FAR
    return near, (root - b) / a


def span(part: Part, o: Array, d: list[Array]) -> tuple[Array, Array]:
    """Entry and exit parameter of each ray in the part; a convex solid is an intersection of spans."""
    if part.shape == "ball":
        return ball_span(o, d, 1.0)
    round_side = part.shape in ("cylinder", "cone")
    near, far = side_span(o, d, part.taper) if round_side else (np.full((1, 1), -FAR), np.full((1, 1), FAR))
    for axis in (1,) if round_side else (0, 1, 2):
        inverse = 1 / np.where(d[axis] == 0, np.float32(1e-9), d[axis])
        middle, reach = -o[axis] * inverse, np.abs(inverse)
        near, far = np.maximum(near, middle - reach), np.minimum(far, middle + reach)
    if part.shape == "round":
        ball_near, ball_far = ball_span(o, d, ROUND)
        near, far = np.maximum(near, ball_near), np.minimum(far, ball_far)
    return near, far


def unit_rays(part: Part, rays: Rays, u: Array, v: Array) -> tuple[Array, list[Array]]:
    """The rays through columns u and rows v (broadcast against each other) in the part's unit cube."""
    matrix, offset = to_unit(part)
    ahead, right, up = matrix @ rays.ahead, matrix @ rays.right, matrix[:, 1]
    return matrix @ rays.eye + offset, [ahead[i] + right[i] * u + up[i] * v for i in range(3)]


def draw_part(part: Part, index: int, rays: Rays, depth: Array, owner: NDArray[np.int16]) -> None:
    """Writes the part's depth and index wherever it is the nearest solid so far."""
    where = window_of(part, rays)
    if where is None:
        return
    rows, columns = where
    near, far = span(part, *unit_rays(part, rays, rays.u[None, columns], rays.v[rows, None]))
    seen = (near < far) & (near < depth[where]) & (near > 0.05)
    np.copyto(depth[where], near, where=seen)
    owner[where][seen] = index


def surface(part: Part, rays: Rays, t: Array, u: Array, v: Array) -> tuple[Array, Array]:
    """Normals (3, n) in room axes and surface coordinates (2, n) in metres at depth t of rays u, v."""
    o, d = unit_rays(part, rays, u, v)
    point = np.stack([o[i] + t * d[i] for i in range(3)])
    half = np.array(part.half, np.float32)[:, None]
    metres = point * half
    normal: Array
    if part.shape == "ball":
        normal, where = point / half, metres[:2]
    elif part.shape in ("cylinder", "cone"):
        cap = np.abs(point[1]) > 0.995
        normal = np.stack([point[0] / half[0], np.where(cap, 0, part.taper / half[1]), point[2] / half[2]])
        normal = np.where(cap, np.array([[0], [1], [0]], np.float32) * np.sign(point[1]), normal)
        around = np.arctan2(point[0], -point[2]) * half[0]
        where = np.where(cap, metres[[0, 2]], np.stack([around, metres[1]]))
    else:
        inset = (1 - np.abs(point)) * half
        face = inset.argmin(axis=0)
        reach = max(part.soft, 0.004)
        normal = np.sign(point) * np.exp(-np.maximum(inset, 0) / reach)
        if part.shape == "round":
            normal += 0.3 * point * np.abs(point)
        where = np.where(face == 0, metres[[2, 1]], np.where(face == 1, metres[[0, 2]], metres[[0, 1]]))
    normal = np.asarray(part.turn @ normal.astype(np.float32))
    normal /= np.sqrt((normal * normal).sum(axis=0)) + np.float32(1e-9)
    return normal, where.astype(np.float32)
