"""What shines: the view from the window, its reflection, lit lampshades, coloured tubes."""

import numpy as np

from .geometry import Array, Part
from .lights import Light
from .placing import Layout
from .shading import in_window
from .sight import Seen
from .textures import noise


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
