"""Draws living rooms: what stands where, and how it looks, are chosen independently. NumPy and Pillow only."""

from .captions import caption_of
from .furniture import KINDS
from .layout import Layout, kinds_in, sample_layout
from .lights import LIGHTS
from .looks import MEDIA, Look, dress, sample_look
from .render import Picture, object_map, render
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
