"""Captions in natural words: style, light, medium, some objects and colours, in changing order."""

import numpy as np

from .lights import LIGHTS
from .looks import Look
from .parts import kinds_in
from .placing import Layout
from .styles import STYLES

ROOM_WORDS = ("living room", "interior", "room", "lounge", "sitting room", "living space")
MEDIUM_WORDS: dict[str, tuple[str, ...]] = {
    "photo": ("photo", "photograph", "photo", "realistic photo", "interior photography"),
    "watercolour": ("watercolour", "watercolor painting", "watercolour painting", "watercolor"),
    "pencil sketch": ("pencil sketch", "pencil drawing", "sketch", "graphite sketch"),
    "oil painting": ("oil painting", "oil on canvas", "painting in oil", "thick oil paint"),
    "pixel art": ("pixel art", "8-bit pixel art", "16-bit pixel art", "pixelated art"),
}
OBJECT_WORDS: dict[str, tuple[str, ...]] = {
    "sofa": ("sofa", "couch", "settee"), "armchair": ("armchair", "chair", "lounge chair"),
    "coffee table": ("coffee table", "low table"), "side table": ("side table", "end table"),
    "rug": ("rug", "carpet"), "floor lamp": ("floor lamp", "standing lamp"), "table lamp": ("table lamp", "small lamp"),
    "bookcase": ("bookcase", "bookshelf", "shelves with books"), "plant": ("plant", "potted plant", "green plant"),
    "picture": ("picture on the wall", "framed picture", "wall art"), "television": ("television", "tv"),
    "sideboard": ("sideboard", "cabinet"), "pouf": ("pouf", "footstool"), "curtain": ("curtains", "drapes"),
    "window": ("window", "large window"), "pendant lamp": ("pendant lamp", "hanging lamp"),
}  # fmt: skip
COLOURED = {"sofa": "sofa", "armchair": "chair", "rug": "rug", "curtain": "curtain", "pouf": "pouf"}
PLURAL = {"curtain"}


def object_phrase(kind: str, names: dict[str, str], rng: np.random.Generator) -> str:
    """One object, sometimes with its colour: "a teal sofa", "mustard curtains"."""
    word = str(rng.choice(OBJECT_WORDS[kind]))
    if kind in COLOURED and rng.random() < 0.75:
        word = f"{names[COLOURED[kind]]} {word}"
    if kind in PLURAL or word.startswith("shelves"):
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def joined(parts: list[str]) -> str:
    """A list in words."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def caption_of(layout: Layout, look: Look, names: dict[str, str], variant: int = 0) -> str:
    """A caption that always names style, light and medium (a photo may go without), then some objects and colours.

    Other variants say the same of the same picture in other words.
    """
    rng = np.random.default_rng([look.seed, 9, variant])
    style, light = STYLES[look.style], LIGHTS[look.light]
    word, glow = str(rng.choice(style.words)), str(rng.choice(light.words))
    medium, room = str(rng.choice(MEDIUM_WORDS[look.medium])), str(rng.choice(ROOM_WORDS))
    if rng.random() < 0.5:
        word = f"{rng.choice(style.mood)} {word}"
    present = sorted(kinds_in(layout) & set(OBJECT_WORDS))
    chosen = [present[int(i)] for i in rng.permutation(len(present))[: int(rng.integers(0, 4))]]
    details = [object_phrase(kind, names, rng) for kind in chosen]
    if rng.random() < 0.3:
        details.append(f"{names['wall']} walls")
    silent = look.medium == "photo" and rng.random() < 0.35
    article = "an" if word[0] in "aeiou" else "a"
    form = int(rng.integers(3))
    if form == 0:  # a photo of a cozy scandinavian living room with a grey sofa, warm light
        lead = f"{article} {word} {room}" if silent else f"a {medium} of {article} {word} {room}"
        lead = lead.replace("a interior", "an interior").replace("a oil", "an oil").replace("a 8-bit", "an 8-bit")
        return f"{lead} with {joined(details)}, {glow}" if details else f"{lead}, {glow}"
    pieces = [f"{word} {room}", glow] + ([] if silent else [medium])
    if form == 1:
        tail = [f"with {joined(details)}"] if details else []
        first, rest = pieces[0], pieces[1:]
        rng.shuffle(rest)
        return ", ".join([" ".join([first, *tail]), *rest])
    pieces += [joined(details)] if details else []
    rng.shuffle(pieces)
    return ", ".join(pieces)
