"""From a layout and a look to a picture: solids to pixels, pixels to materials, materials to light, light to paper."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .captions import caption_of
from .furniture import KIND, KINDS
from .geometry import FAR, Array, Part, Rays, draw_part, make_rays, surface
from .layout import Layout, parts_of
from .lights import LIGHTS, Light
from .looks import Dressing, Look, dress
from .media import MEDIUM, Drawing
from .shading import Surface, blocked, corners, in_window, received, sources, towards_sun
from .patterns import TEXTURES
from .textures import Spot, noise

OVERSAMPLE = 1.5  # pixels rendered per pixel shown, along each side
ROOM_SLOTS = ("floor", "ceiling", "wall", "side", "side")
ROOM_KINDS = (KIND["floor"], KIND["ceiling"], KIND["wall"], KIND["wall"], KIND["wall"])
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
ROOM_NORMALS = np.array([(0, 1, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0), (-1, 0, 0)], np.float32)


class Picture(NamedTuple):
    """A rendered room: sRGB pixels (H, W, 3) uint8, object class of each pixel (H, W) uint8, and its caption."""

    pixels: NDArray[np.uint8]
    objects: NDArray[np.uint8]
    caption: str


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


def paint(seen: Seen, parts: list[Part], dressing: Dressing, focal: float, tall: float) -> tuple[Array, Array]:
    """Albedo (3, n) and gloss (n,) of every pixel from the materials."""
    albedo, gloss = np.empty_like(seen.surface.point), np.empty_like(seen.depth)
    pixel = seen.depth / np.float32(focal)
    for index, where in groups(seen.owner):
        part = parts[index - 5] if index >= 5 else None
        slot = part.slot if part else ROOM_SLOTS[index]
        material = dressing.materials[slot]
        half = part.half if part else (0.0, tall, 0.0)
        spot = Spot(seen.uv[:, where], pixel[where], list(material.colours), part.tag if part else 0, half, material.repeat)
        albedo[:, where] = TEXTURES[material.texture](spot)
        gloss[where] = material.gloss
        if part is None and index >= 2:
            skirting = spot.line(spot.v - 0.05, 0.1) + spot.line(spot.v - tall + 0.03, 0.06)
            trim = dressing.materials["trim"].colours[0][:, None]
            albedo[:, where] += (trim - albedo[:, where]) * np.clip(skirting, 0, 1)
    return np.clip(albedo, 0.004, 0.95), gloss


def view(point: Array, layout: Layout, light: Light, uv: Array) -> Array:
    """What is seen through the window: sky, land or city, (3, n) radiance."""
    share = np.clip((point[1] - 0.4) / np.float32(2.2), 0, 1)
    low, high = (np.array(c, np.float32)[:, None] for c in light.sky)
    land = np.array(light.land, np.float32)[:, None]
    out = low + (high - low) * share
    far = 1.22 + 0.1 * np.sin(uv[0] * 3.3 + 2.0) + 0.012 * noise("grain", uv[0], uv[0], 2.0)
    near = 0.98 + 0.12 * np.sin(uv[0] * 2.1 + 0.6) + 0.035 * noise("cloud", uv[0] * 2, uv[0], 1.0)
    tone = 1 + 0.14 * noise("cloud", uv[0], uv[1], 1.2)
    if light.scene == "city":
        block = np.floor(uv[0] / 0.21)
        far = near = 0.95 + 0.75 * ((block * 0.618) % 1)
        across, up = np.floor(uv[0] / 0.07), np.floor(point[1] / 0.1)
        inside = (np.abs(uv[0] / 0.07 - across - 0.5) < 0.3) & (np.abs(point[1] / 0.1 - up - 0.5) < 0.3)
        lit = inside & ((across * 0.371 + up * 0.713 + across * up * 0.117) % 1 > 0.7)
        tone = tone + lit * 16
    out = out + ((land + low) / 2 - out) * np.clip((far - point[1]) / 0.02, 0, 1)
    out = out + (land * tone - out) * np.clip((near - point[1]) / 0.02, 0, 1)
    if light.scene == "stars":
        out = out + 0.9 * np.clip((0.11 - np.hypot(uv[0] - 0.3, uv[1] - 0.35)) / 0.01, 0, 1)
    return out


def illuminate(layout: Layout, light: Light, parts: list[Part], full: Surface, side: int, lean: float) -> Array:
    """Light on every pixel, (3, n). Shadows are found for every second pixel along each side."""
    lamps = sources(layout, light, parts)
    half = Surface(*(a.reshape(3, side, -1)[:, ::2, ::2].reshape(3, -1) for a in full))
    sun = towards_sun(layout.window, light, lean) if sum(light.sun) > 0 else None
    passed, open_sky = blocked(half, parts, [s.at for s in lamps], sun)

    def spread(a: Array) -> Array:
        return a.reshape((side + 1) // 2, -1).repeat(2, axis=0).repeat(2, axis=1)[:side, :side].ravel()

    up = full.normal[1]
    ambient = np.array(light.ambient, np.float32)[:, None] * (np.float32(0.8) + np.float32(0.2) * up)
    out = ambient * (spread(open_sky * corners(half, layout)))
    for source, transmitted in zip(lamps, passed, strict=False):
        weight = received(full, source) * spread(transmitted * (np.float32(0.35) + np.float32(0.65) * open_sky))
        out += source.colour[:, None] * weight
    if sun is not None:
        enters = in_window(half.point, sun, layout, 0.012) * passed[-1]
        cosine = np.maximum((full.normal * sun[:, None]).sum(axis=0), 0)
        out += np.array(light.sun, np.float32)[:, None] * (spread(enters) * cosine)
    return out


def sheen(layout: Layout, light: Light, seen: Seen, gloss: Array, eye: Array) -> Array:
    """Reflection of the window in shiny surfaces, (3, n)."""
    shiny = np.flatnonzero(gloss > 0.05)
    point, normal = seen.surface.point[:, shiny], seen.surface.normal[:, shiny]
    ray = point - eye[:, None]
    ray /= np.sqrt((ray * ray).sum(axis=0))
    slant = (ray * normal).sum(axis=0)
    mirrored = ray - 2 * slant * normal
    fresnel = np.float32(0.08) + np.float32(0.92) * np.clip(1 + slant, 0, 1) ** 4
    out = np.zeros_like(seen.surface.point)
    seen_sky = in_window(point, mirrored, layout, 0.1) * fresnel * gloss[shiny]
    out[:, shiny] = np.array(light.sky[0], np.float32)[:, None] * np.float32(1.3) * seen_sky
    return out


def glows(seen: Seen, layout: Layout, light: Light, parts: list[Part], color: Array, exposure: float) -> None:
    """Writes over the pixels that shine themselves: the view outside, lit lampshades, coloured tubes."""
    for index, part in enumerate(parts):
        if part.slot not in ("outside", "shade"):
            continue
        where = np.flatnonzero(seen.owner == index + 5)
        if part.slot == "outside":
            strength = np.float32(1.0 if light.scene == "hills" else 1.6)
            color[:, where] = view(seen.surface.point[:, where], layout, light, seen.uv[:, where]) * strength
        elif sum(light.lamp) > 0:
            glow = np.array(light.lamp, np.float32)[:, None] / np.float32(1.05)
            fall = 1.15 - 0.5 * np.abs(seen.uv[1][where] / np.float32(part.half[1]))
            color[:, where] = color[:, where] * 0.5 + glow * fall * np.sqrt(color[:, where] + np.float32(0.1)) * 1.3
    for wall, strip in zip((3, 4), light.strips, strict=True):
        if sum(strip) > 0:
            where = np.flatnonzero(seen.owner == wall)
            line = np.exp(-(((seen.surface.point[1][where] - layout.room.height + 0.2) / 0.045) ** 2))
            color[:, where] += np.array(strip, np.float32)[:, None] * line * 1.2 + line * 0.7


def develop(color: Array) -> Array:
    """Filmic tone curve (Narkowicz' fit of ACES) and the sRGB transfer, both in [0, 1]."""
    grey = LUMA @ color
    x = np.maximum(grey + (color - grey) * np.float32(0.86), 0) * np.float32(0.9)  # the curve adds saturation
    x = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** np.float32(1 / 2.4) - 0.055).astype(np.float32)


def render(layout: Layout, look: Look, size: int = 256) -> Picture:
    """Draws a layout in a look; the object map depends on the layout alone."""
    light, dressing, parts = LIGHTS[look.light], dress(look), parts_of(layout)
    side, pick = shown_pixels(size)
    rays = make_rays(layout.camera, side, side)
    seen = look_around(layout, parts, rays)
    albedo, gloss = paint(seen, parts, dressing, layout.camera.focal * side, layout.room.height)
    rng = np.random.default_rng([look.seed, 6])
    falling = illuminate(layout, light, parts, seen.surface, side, rng.uniform(-0.7, 0.7))
    bounce = np.float32(0.25) * (albedo[:, ::7].mean(axis=1) * falling[:, ::7].mean(axis=1))
    falling += bounce[:, None]
    exposure = light.exposure / (falling[:, ::7].mean() + np.float32(1e-3))
    color = albedo * falling * np.float32(exposure)
    color += sheen(layout, light, seen, gloss, rays.eye)
    glows(seen, layout, light, parts, color, float(exposure))
    color *= np.array(light.tint, np.float32)[:, None]
    shown = (develop(color).reshape(3, side, side).transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    small = np.asarray(Image.fromarray(shown).resize((size, size), Image.Resampling.BILINEAR), np.float32) / 255
    owner = seen.owner.reshape(side, side)[pick][:, pick]
    depth = seen.depth.reshape(side, side)[pick][:, pick]
    normal = seen.surface.normal.reshape(3, side, side)[:, pick][:, :, pick]
    drawing = Drawing(small, owner, depth, normal)
    finished = MEDIUM[look.medium](drawing, np.random.default_rng([look.seed, 8]))
    pixels = (np.clip(finished, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Picture(pixels, kinds_of(parts, owner), caption_of(layout, look, dressing.names))


__all__ = ["KINDS", "Picture", "object_map", "render"]
