"""A labelled contact sheet: pictures side by side, a label under each, a title above."""

import math
import unicodedata
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from partway.pictures.images import eight_bit

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BACKGROUND, _INK, _FAINT = "#f7f6f3", "#22211f", "#77746d"
_SMALLEST, _LARGEST = 224, 512  # pixels, of the longer side of a picture on the sheet
_COLUMNS = 4  # at most
_LINES = 3  # of the title at most


def contact_sheet(
    pictures: Sequence[Image.Image], labels: Sequence[str], *, title: str, details: str = ""
) -> Image.Image:
    """Lay ``pictures`` out in rows of equal length, ``labels`` under them; return an RGB picture.

    pictures: of any mode and size; each is scaled to fit one size, with its proportions.
    title: text on top, broken into lines as needed; details: smaller text under it.
    """
    cell_width, cell_height = _cell_size(pictures)
    columns = math.ceil(len(pictures) / math.ceil(len(pictures) / _COLUMNS))
    gap = max(cell_width, cell_height) // 16
    large, small = (ImageFont.load_default(size) for size in (gap * 3 // 4 + 6, gap // 2 + 6))
    width = columns * (cell_width + gap) + gap

    title, details = _wrap(title, large, width - 2 * gap), _wrap(details, small, width - 2 * gap)
    details_at = gap + _height(title, large) + gap // 3
    top = details_at + _height(details, small) + gap
    line = cell_height + gap // 3 + _height("x", small) + gap
    sheet = Image.new("RGB", (width, top + math.ceil(len(pictures) / columns) * line), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((gap, gap), title, _INK, large)
    draw.multiline_text((gap, details_at), details, _FAINT, small)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = gap + index % columns * (cell_width + gap)
        y = top + index // columns * line
        shown = _fit(picture, cell_width, cell_height)
        sheet.paste(shown, (x + (cell_width - shown.width) // 2, y + (cell_height - shown.height) // 2))
        draw.text((x + cell_width / 2, y + cell_height + gap // 3), label, _INK, small, anchor="ma")
    return sheet


def _cell_size(pictures: Sequence[Image.Image]) -> tuple[int, int]:
    """Return the width and height of every picture's place: the largest picture's, scaled to a readable size."""
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    longer = max(width, height)
    scale = min(max(longer, _SMALLEST), _LARGEST) / longer
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale to fit into width x height; transparent parts show the sheet's background."""
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    scaled = eight_bit(picture).convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(Image.new("RGBA", size, _BACKGROUND), scaled).convert("RGB")


def _wrap(text: str, font: Font, width: int) -> str:
    """Break ``text`` into lines of at most ``width`` pixels, between words or, within long ones, anywhere."""
    # Pillow's own font has no accented letters: show their base letters rather than empty boxes.
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    lines = [""]
    for word in plain.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for character in word:
            if font.getlength(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    lines = [line for line in lines if line] or [""]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], lines[_LINES - 1][:-3] + "..."]
    return "\n".join(lines)


def _height(text: str, font: Font) -> int:
    """Return how many pixels tall ``text`` is, 0 if empty."""
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    return math.ceil(measure.multiline_textbbox((0, 0), text, font)[3]) if text else 0
