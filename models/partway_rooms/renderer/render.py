"""From a layout and a look to a picture: solids to pixels, pixels to materials, materials to light, light to paper."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .captions import caption_of
from .geometry import Array, Part, Rays, make_rays
from .lights import LIGHTS, Light
from .looks import Dressing, Look, dress
from .materials import TEXTURES
from .media import MEDIUM, Drawing, Medium
from .parts import parts_of
from .placing import Layout
from .shading import Surface, blocked, corners, in_window, received, sources, towards_sun
from .shine import glows, sheen
from .sight import Seen, groups, kinds_of, look_around, shown_pixels
from .textures import Spot

ROOM_SLOTS = ("floor", "ceiling", "wall", "side", "side")
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


class Picture(NamedTuple):
    """A rendered room: sRGB pixels (H, W, 3) uint8, object class of each pixel (H, W) uint8, and its caption."""

    pixels: NDArray[np.uint8]
    objects: NDArray[np.uint8]
    caption: str


def paint(seen: Seen, parts: list[Part], dressing: Dressing, focal: float, tall: float) -> tuple[Array, Array]:
    """Albedo (3, n) and gloss (n,) of every pixel from the materials."""
    albedo, gloss = np.empty_like(seen.surface.point), np.empty_like(seen.depth)
    pixel = seen.depth / np.float32(focal)
    for index, where in groups(seen.owner):
        part = parts[index - 5] if index >= 5 else None
        slot = part.slot if part else ROOM_SLOTS[index]
        material = dressing.materials[slot]
        half = part.half if part else (0.0, tall, 0.0)
        spot = Spot(
            seen.uv[:, where], pixel[where], list(material.colours), part.tag if part else 0, half, material.repeat
        )
        albedo[:, where] = TEXTURES[material.texture](spot)
        gloss[where] = material.gloss
        if part is None and index >= 2:
            skirting = spot.line(spot.v - 0.05, 0.1) + spot.line(spot.v - tall + 0.03, 0.06)
            trim = dressing.materials["trim"].colours[0][:, None]
            albedo[:, where] += (trim - albedo[:, where]) * np.clip(skirting, 0, 1)
    return np.clip(albedo, 0.004, 0.95), gloss


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


def develop(color: Array) -> Array:
    """Filmic tone curve (Narkowicz' fit of ACES) and the sRGB transfer, both in [0, 1]."""
    grey = LUMA @ color
    x = np.maximum(grey + (color - grey) * np.float32(0.86), 0) * np.float32(0.9)  # the curve adds saturation
    x = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** np.float32(1 / 2.4) - 0.055).astype(np.float32)


class Scene(NamedTuple):
    """What a camera sees of a layout, before any look: solids, rays, and the surface that each ray meets."""

    layout: Layout
    parts: list[Part]
    rays: Rays
    seen: Seen
    size: int


class View(NamedTuple):
    """A scene in a look, ready for a medium; object class of each pixel (H, W) uint8 and the colours' names."""

    drawing: Drawing
    objects: NDArray[np.uint8]
    names: dict[str, str]


def scene_of(layout: Layout, size: int = 256) -> Scene:
    """Looks into a layout."""
    parts, side = parts_of(layout), shown_pixels(size)[0]
    rays = make_rays(layout.camera, side, side)
    return Scene(layout, parts, rays, look_around(layout, parts, rays), size)


def view(scene: Scene, look: Look) -> View:
    """Paints and lights a scene; the look's medium plays no part."""
    layout, parts, rays, seen, size = scene
    light, dressing = LIGHTS[look.light], dress(look)
    side, pick = shown_pixels(size)
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
    return View(Drawing(small, owner, depth, normal), kinds_of(parts, owner), dressing.names)


def finish(drawing: Drawing, medium: Medium, seed: int) -> NDArray[np.uint8]:
    """A drawing in a medium, (H, W, 3) uint8."""
    finished = medium(drawing, np.random.default_rng([seed, 8]))
    return (np.clip(finished, 0, 1) * 255 + 0.5).astype(np.uint8)


def render(layout: Layout, look: Look, size: int = 256) -> Picture:
    """Draws a layout in a look; the object map depends on the layout alone."""
    shown = view(scene_of(layout, size), look)
    pixels = finish(shown.drawing, MEDIUM[look.medium], look.seed)
    return Picture(pixels, shown.objects, caption_of(layout, look, shown.names))
