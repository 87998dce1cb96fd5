"""Enlarging without a model, and reading what a picture says of how it was made."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from partway.errors import MAX_SIDE
from partway.pictures import images
from partway.serve import photos, values
from partway.serve.a1111.lists import UPSCALERS
from partway.serve.limits import SOURCE_PIXELS
from partway.serve.refusals import Refusal, invalid


def enlarged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """extra-single-image: one picture, larger."""
    return {"html_info": "", "image": _enlarged(fields.get("image"), fields)}


def several(fields: Mapping[str, Any]) -> dict[str, Any]:
    """extra-batch-images: some pictures, larger."""
    given = fields.get("imageList")
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given) or len(given) > 16:
        raise invalid("imageList must be a list of at most 16 objects with data and name", "imageList")
    return {"html_info": "", "images": [_enlarged(one.get("data"), fields) for one in given]}


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """png-info: the text inside a picture."""
    data = photos.unpacked(fields.get("image"), "image")
    photos.decoded(data, "image", pixels=1024)
    with Image.open(io.BytesIO(data), formats=photos.FORMATS) as image:
        image.load()
        items = {name: value for name, value in image.info.items() if isinstance(value, str)}
    text = items.get("parameters", "")
    return {"info": text, "items": items, "parameters": _parameters(text)}


def _enlarged(said: Any, fields: Mapping[str, Any]) -> str:
    image = images.eight_bit(photos.decoded(photos.unpacked(said, "image"), "image"))
    size = _size(image, fields)
    if max(size) > MAX_SIDE or size[0] * size[1] > SOURCE_PIXELS:
        raise Refusal(413, f"the enlarged picture would have {size[0]}x{size[1]} pixels, which is too many")
    method = UPSCALERS.get(str(fields.get("upscaler_1") or "Lanczos"), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.resize(size, method).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def _size(image: Image.Image, fields: Mapping[str, Any]) -> tuple[int, int]:
    if values.whole("resize_mode", fields.get("resize_mode") or 0, 0, 1):
        width, height = (
            values.whole(name, fields.get(name) or 512, 1, MAX_SIDE)
            for name in ("upscaling_resize_w", "upscaling_resize_h")
        )
        return width, height
    scale = fields.get("upscaling_resize")
    scale = 2 if scale is None else scale
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= 8:
        raise invalid("upscaling_resize must be above 0 and at most 8", "upscaling_resize")
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _parameters(text: str) -> dict[str, str]:
    """The last line of A1111's text, field by field."""
    last = text.strip().splitlines()[-1:] or [""]
    pairs = (part.partition(": ") for part in last[0].split(", ") if ": " in part)
    return {name.strip(): value.strip() for name, _, value in pairs}
