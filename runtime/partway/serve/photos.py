"""Pictures and masks out of what clients send: three formats, by their bytes, and never more pixels than allowed."""

import base64
import binascii
import io
import math
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from partway.errors import PartwayError
from partway.pictures import images
from partway.serve.limits import SOURCE_PIXELS
from partway.serve.refusals import Refusal, invalid

FORMATS = ("PNG", "JPEG", "WEBP")
Fit = Literal["stretch", "crop", "fill"]


def unpacked(text: Any, param: str) -> bytes:
    """The bytes of base64 text, bare or a ``data:`` URL; other URLs are refused, for the server fetches nothing."""
    if not isinstance(text, str) or not text:
        raise invalid(f"{param} must be a picture in base64", param)
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    elif "://" in text[:16]:
        raise invalid(f"{param} is a URL, which this server does not fetch; send the picture itself in base64", param)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{param} is not base64", param) from None


def decoded(data: bytes, param: str, *, pixels: int = SOURCE_PIXELS) -> Image.Image:
    """The picture in ``data``, upright, with at most so many pixels: a larger one is made smaller.

    Raises `Refusal` for other formats than PNG, JPEG and WebP, and for more than `SOURCE_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _limited(image, param, pixels)
    except (Refusal, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise _too_large(param) from None
    except PartwayError as problem:
        raise invalid(str(problem).replace("the picture", param, 1), param) from None
    except Exception:  # decoders raise anything
        raise invalid(f"{param} is no PNG, JPEG or WebP, or it is damaged", param) from None


def mask(data: bytes, size: tuple[int, int], *, opaque_changes: bool) -> Image.Image:
    """A mask as "L" of this size, white where the picture may change.

    Where the file's alpha is not opaque throughout, alpha is the mask, and ``opaque_changes`` says which end of it
    marks a change; else the brightness is.
    """
    image = decoded(data, "mask")
    alpha = images.eight_bit(image).getchannel("A") if image.has_transparency_data else None
    if alpha is not None and alpha.getextrema() != (255, 255):
        grey = alpha if opaque_changes else ImageOps.invert(alpha)
    else:
        grey = images.eight_bit(image).convert("RGB").convert("L")
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)


def fitted(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """The picture at this size: stretched, cut to its proportions, or whole with its edges repeated around it."""
    if image.size == size:
        return image
    image = images.eight_bit(image)
    if fit == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    if fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    whole = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    left, top = (size[0] - whole.width) // 2, (size[1] - whole.height) // 2
    around = ((top, size[1] - whole.height - top), (left, size[0] - whole.width - left), (0, 0))
    made = Image.fromarray(np.pad(np.asarray(whole), around, mode="edge"))
    made.info = whole.info
    return made


def _limited(image: Image.Image, param: str, pixels: int) -> Image.Image:
    width, height = image.size
    wide = image.mode in ("I", "F") or image.mode.startswith("I;16")
    if width * height > (SOURCE_PIXELS // 4 if wide else SOURCE_PIXELS):
        raise _too_large(param)
    if width * height <= pixels:
        return images.read(image).original
    scale = math.sqrt(pixels / (width * height))
    smaller = max(8, int(width * scale)), max(8, int(height * scale))
    image.draft("RGB", smaller)
    image.load()
    eight = images.eight_bit(image) if wide else image.convert("RGBA" if image.has_transparency_data else "RGB")
    made = eight.resize(smaller, Image.Resampling.LANCZOS)
    made.info = {key: image.info[key] for key in ("exif", "icc_profile") if key in image.info}
    return images.read(made).original


def _too_large(param: str) -> Refusal:
    millions = SOURCE_PIXELS // 1_000_000
    return Refusal(413, f"{param} has more than {millions} million pixels; make it smaller first", param=param)
