"""A look: style, light and medium, and what they make of each slot of a room."""

from typing import NamedTuple

import numpy as np

from .geometry import Array
from .lights import LIGHTS
from .styles import STYLES, Choice, Finish, Style

MEDIA = ("photo", "watercolour", "pencil sketch", "oil painting", "pixel art")
MEDIUM_ODDS = (0.52, 0.12, 0.12, 0.12, 0.12)


class Look(NamedTuple):
    """How a room is shown; the seed picks colours within the style and the words of the caption."""

    style: str
    light: str
    medium: str
    seed: int


class Material(NamedTuple):
    """A texture, its linear RGB colours, how shiny it is and the size of its pattern."""

    texture: str
    colours: tuple[Array, ...]
    gloss: float
    repeat: float


class Dressing(NamedTuple):
    """Materials by slot, and the names of the chosen colours for the caption."""

    materials: dict[str, Material]
    names: dict[str, str]


def sample_look(seed: int, style: str | None = None, light: str | None = None, medium: str | None = None) -> Look:
    """A look from a seed; any part of it can be fixed without changing the others."""
    rng = np.random.default_rng([seed, 2])
    style_pick, light_pick = str(rng.choice(list(STYLES))), str(rng.choice(list(LIGHTS)))
    medium_pick = str(rng.choice(MEDIA, p=MEDIUM_ODDS))
    return Look(style or style_pick, light or light_pick, medium or medium_pick, int(rng.integers(1 << 31)))


def linear(code: str) -> Array:
    """Linear RGB (3,) of an sRGB hex code."""
    rgb = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def dress(look: Look) -> Dressing:
    """Picks the colours of a look."""
    style, rng = STYLES[look.style], np.random.default_rng([look.seed, 4])
    names: dict[str, str] = {}

    def pick(slot: str, options: tuple[Choice, ...]) -> str:
        name, code = options[int(rng.integers(len(options)))]
        names[slot] = name
        return code

    def of(slot: str, finish: Finish) -> Material:
        colours = (linear(pick(slot, finish.colours)), *(linear(code) for code in finish.extra))
        return Material(finish.texture, colours, finish.gloss, finish.repeat)

    slots = ("wall", "side", "floor", "wood", "sofa", "chair", "rug", "curtain")
    found = {slot: of(slot, getattr(style, slot)) for slot in slots}
    found["table"] = of("table", style.wood)
    order = rng.permutation(len(style.accents))
    accents = [style.accents[int(i)] for i in order]
    for i in range(3):
        names[f"cushion{i}"] = accents[i][0]
        found[f"cushion{i}"] = Material("fabric", (linear(accents[i][1]),), 0.0, 1.0)
    names["pouf"] = accents[3][0]
    found |= fittings(style, [linear(code) for _, code in accents])
    return Dressing(found, names)


def fittings(style: Style, accents: list[Array]) -> dict[str, Material]:
    """Slots that follow from the style without a choice."""
    metal, trim, dark = linear(style.metal), linear(style.trim), linear("#15171a")
    every = (linear("#4a3f38"), *accents, linear("#d8cbb2"), linear("#6d4a35"))
    green = linear("#4f7a3c")
    return {
        "metal": Material("plain", (metal,), 0.4, 1.0),
        "trim": Material("plain", (trim,), 0.1, 1.0),
        "frame": Material("plain", (trim * 0.3 + metal * 0.7,), 0.2, 1.0),
        "ceiling": Material("plain", (linear(style.ceiling),), 0.0, 1.0),
        "shade": Material("plain", (linear(style.shade),), 0.0, 1.0),
        "lampbase": Material("plain", (accents[1],), 0.35, 1.0),
        "ceramic": Material("plain", (accents[0],), 0.3, 1.0),
        "pot": Material("plain", (linear(style.pot),), 0.15, 1.0),
        "pouf": Material("fabric", (accents[3],), 0.0, 1.0),
        "leaf": Material("leaf", (green,), 0.15, 1.0),
        "books": Material("books", every, 0.0, 1.0),
        "art": Material("art", (linear("#f0eee8"), *accents), 0.0, 1.0),
        "screen": Material("screen", (dark,), 0.7, 1.0),
        "outside": Material("plain", (dark,), 0.0, 1.0),
    }
