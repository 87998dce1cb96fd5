"""Draws living rooms: what stands where, and how it looks, are chosen independently. NumPy and Pillow only."""

from .captions import caption_of
from .layout import sample_layout
from .lights import LIGHTS
from .looks import MEDIA, Look, dress, sample_look
from .parts import kinds_in
from .pieces import KINDS
from .placing import Layout
from .render import Picture, render
from .sight import object_map
from .styles import STYLES

__all__ = [
    "KINDS",
    "LIGHTS",
    "MEDIA",
    "STYLES",
    "Layout",
    "Look",
    "Picture",
    "caption_of",
    "dress",
    "kinds_in",
    "object_map",
    "render",
    "sample_layout",
    "sample_look",
]
