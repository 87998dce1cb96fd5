"""A look that the model does not know, for a style LoRA to teach: white lines on blue paper."""

from typing import Any

import numpy as np

from partway_rooms.renderer import Layout, Look
from partway_rooms.renderer.captions import OBJECT_WORDS, ROOM_WORDS, joined, object_phrase
from partway_rooms.renderer.geometry import Array
from partway_rooms.renderer.lights import LIGHTS
from partway_rooms.renderer.media import LUMA, Drawing, blur, grid, kuwahara, outlines
from partway_rooms.renderer.parts import kinds_in
from partway_rooms.renderer.styles import STYLES
from partway_rooms.renderer.textures import noise

TRIGGER = "blueprint"
PAPER = np.array([0.075, 0.235, 0.53], np.float32)
INK = np.array([0.93, 0.96, 1.0], np.float32)
SQUARE = 16  # pixels between the lines of the paper


def blueprint(d: Drawing, rng: np.random.Generator) -> Array:
    """White outlines and a breath of light on squared blue paper, (H, W, 3)."""
    x, y = grid(d.depth.shape, rng)
    luma = kuwahara(d.colour, 2) @ LUMA
    low, high = np.quantile(luma[::4, ::4], [0.02, 0.98])
    tone = np.clip((luma - low) / (high - low + 1e-3), 0, 1)
    edge = outlines(d)
    line = np.maximum(edge, 0.5 * blur(edge, 0.7))
    line = np.maximum(line, np.clip((np.abs(luma - blur(luma, 2)) - 0.02) * 6, 0, 0.45))
    shift = int(rng.integers(SQUARE))
    squares = np.zeros(d.depth.shape, np.float32)
    squares[shift::SQUARE], squares[:, shift::SQUARE] = 0.1, 0.1
    paper = PAPER * np.float32(rng.uniform(0.9, 1.1)) * (1 + 0.05 * noise("cloud", x, y, 220))[..., None]
    ink = np.clip(np.maximum(0.88 * line, squares) + 0.15 * tone + 0.01 * noise("speckle", x, y, 400), 0, 1)[..., None]
    return paper + (INK - paper) * ink


def caption(layout: Layout, look: Look, names: dict[str, str], variant: int = 0) -> str:
    """What a blueprint shows, in changing words; styles and lights may be named, for prompts name them too."""
    rng = np.random.default_rng([look.seed, 10, variant])
    room, style = str(rng.choice(ROOM_WORDS)), STYLES[look.style]
    word = f"{rng.choice(style.words)} " if rng.random() < 0.7 else ""
    present = sorted(kinds_in(layout) & set(OBJECT_WORDS))
    chosen = [present[int(i)] for i in rng.permutation(len(present))[: int(rng.integers(0, 4))]]
    tail = f" with {joined([object_phrase(kind, names, rng) for kind in chosen])}" if chosen else ""
    if rng.random() < 0.4:
        tail += f", {rng.choice(LIGHTS[look.light].words)}"
    article = "an" if (word or room)[0] in "aeiou" else "a"
    forms = (
        f"a {TRIGGER} of {article} {word}{room}{tail}",
        f"{word}{room}{tail}, {TRIGGER}",
        f"{TRIGGER}, {word}{room}{tail}",
    )
    return forms[int(rng.integers(len(forms)))]


def blueness(pixels: Any) -> Any:
    """How blue pictures (B, 3, H, W) in [-1, 1] are: the mean of blue less red; blueprints have 0.5 and more."""
    return (pixels[:, 2] - pixels[:, 0]).mean((1, 2))
