"""Pictures as arrays: PIL images, files and arrays to (1, 3, H, W) in [-1, 1], and back to PIL images, without loss.

Files are written by `partway.pictures.metadata`.
"""

import os
import re
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from partway.errors import MAX_SIDE, ImageError, InputError, PartwayError, number
from partway.pictures import png
from partway.support.warning import warn

Array = NDArray[np.float32]
Source = Image.Image | str | os.PathLike[str] | NDArray[np.generic]

ADDRESS = re.compile(r"(https?|ftps?|s3|gs|file):/|data:\w*", re.IGNORECASE)
_NO_DECODER = "ghostscript|cannot (find loader|load this image)|not available|unsupported"
_HALVED = "(RGB[AaX]?|LA);16"  # what Pillow makes 8 bits of
_WIDE_MODES = ("I", "F")  # and every "I;16*": more than 8 bits a value, which Pillow clips on conversion


@dataclass(frozen=True)
class Picture:
    """A decoded source picture.

    pixels: (1, 3, H, W) float32 in [-1, 1], upright, values as stored (no colour management).
    alpha: mode "L" of the same size, or None; the output gets it too.
    icc_profile: an RGB profile's bytes, or None; the output gets it too (that of another colour space would not fit).
    original: the upright picture in its own mode, unchanged, which strength 0 returns.
    """

    pixels: Array
    alpha: Image.Image | None
    icc_profile: bytes | None
    original: Image.Image


def read(source: Source) -> Picture:
    """Decode a picture: a file name, a PIL image of any mode, or an array.

    Arrays are (H, W), (H, W, 3) or (H, W, 4), uint8 or floats in [0, 1]; four channels are always RGBA.
    It applies EXIF orientation, and takes the first frame of an animation.

    Raises ImageError for what cannot be decoded (missing, corrupt, truncated, a decompression bomb, a side
    above `partway.errors.MAX_SIDE`), InputError for arrays of another shape, type or range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pil(source, "the picture")
    if isinstance(source, str | os.PathLike):
        return _from_file(os.fspath(source))
    raise InputError(f"a picture is a file name, a PIL image or an array, not {type(source).__name__}")


def pad(pixels: Array, multiple: int) -> Array:
    """Extend (B, C, H, W) at the right and the bottom to the next ``multiple`` (pixels) by reflection.

    An axis too short to reflect that far repeats its edge.
    """
    for axis in (2, 3):
        size = pixels.shape[axis]
        extra = -size % multiple
        if extra:
            widths = [(0, 0)] * 4
            widths[axis] = (0, extra)
            pixels = np.pad(pixels, widths, mode="reflect" if extra < size else "edge")
    return pixels


def to_pil(pixels: Array, size: tuple[int, int] | None = None) -> list[Image.Image]:
    """Turn (B, 3, H, W) in [-1, 1] into 8-bit RGB pictures, cropped to ``size`` (width, height).

    It clips other values and rounds halves to even, as diffusers' VaeImageProcessor does.
    """
    if size is not None:
        pixels = pixels[:, :, : size[1], : size[0]]
    unit = np.clip(pixels / 2 + 0.5, 0, 1)
    bytes_ = (unit * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(np.ascontiguousarray(one)) for one in bytes_]


def enlarged(picture: Picture, scale: float) -> Image.Image:
    """The picture ``scale`` times as large (Lanczos), with its alpha and profile.

    Raises InputError for a scale below 1, and where a side would be above `partway.errors.MAX_SIDE`.
    """
    number("scale", scale, 1, MAX_SIDE)
    width, height = (round(side * scale) for side in picture.original.size)
    if max(width, height) > MAX_SIDE:
        raise InputError(f"{scale:g} times this picture is {width}x{height}; a side has at most {MAX_SIDE} pixels")
    if is_wide(picture.original) and picture.alpha is None:
        grey = Image.fromarray(_unit_grey(picture.original)).resize((width, height), Image.Resampling.LANCZOS)
        return wide(np.asarray(grey))
    made = eight_bit(picture.original).resize((width, height), Image.Resampling.LANCZOS)
    return _with(made, None, picture.icc_profile)


def finish(image: Image.Image, picture: Picture) -> Image.Image:
    """Put the source's alpha and ICC profile (``info["icc_profile"]``) onto an RGB result of its size."""
    return _with(image.copy(), picture.alpha, picture.icc_profile)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as 8-bit RGB, or RGBA where it has transparency, with its RGB profile."""
    if image.mode in ("RGB", "RGBA"):
        return image
    colours, alpha = _colours_and_alpha(image)
    return _with(to_pil(_to_pixels(colours))[0], alpha, _rgb_profile(image))


def missing(name: str) -> ImageError:
    """The error of a picture that is not there, which may be an address; a `Path` of one has lost a slash."""
    if ADDRESS.match(name):
        return ImageError(f"{name[:60]} is an address; download the picture and give its file")
    return ImageError(f"no such picture: {name}")


def sixteen_bit(image: Image.Image) -> Image.Image:
    """Return a wide grey picture with 16 bits a value, which PNG can hold."""
    return image if image.mode == "I;16" else _with(wide(_unit_grey(image)), None, image.info.get("icc_profile"))


def _from_file(name: str) -> Picture:
    try:
        source, profile = png.readable(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that Pillow copes with
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                if profile is not None:
                    image.info["icc_profile"] = profile
                halved = any(re.search(_HALVED, str(tile)) for tile in getattr(image, "tile", ()))
                picture = _from_pil(image, name)
    except FileNotFoundError:
        raise missing(name) from None
    except IsADirectoryError:
        raise ImageError(f"{name} is a folder, not a picture") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that Pillow can read; convert it to PNG") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{name} has more than {limit} million pixels; make it smaller first") from None
    except (PartwayError, MemoryError):
        raise
    except Exception as problem:  # decoders raise anything: OSError, SyntaxError, struct.error, ...
        if ADDRESS.match(name):  # too long for a name
            raise missing(name) from None
        raise ImageError(f"cannot read {name}: {problem}") from None
    if halved:
        warn(f"{name} has 16 bits a colour, of which 8 are read")
    return picture


def _from_pil(image: Image.Image, name: str) -> Picture:
    from PIL import ImageFile  # where a picture is opened Pillow imports it itself

    stub = isinstance(image, ImageFile.StubImageFile)  # of what other programs decode, which knows no size before
    if not stub:
        _check_size(*image.size)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as problem:  # as above
        if stub or re.search(_NO_DECODER, str(problem), re.IGNORECASE):
            kind = image.format or "of a kind"
            raise ImageError(f"{name} is {kind}, which Pillow cannot decode here ({problem}); save it as PNG") from None
        raise ImageError(f"{name} is damaged or cut short: {problem}") from None
    _check_size(*image.size)
    original = _upright(image)
    colours, alpha = _colours_and_alpha(original)
    return Picture(_to_pixels(colours), alpha, _rgb_profile(original), original)


def _from_array(array: NDArray[np.generic]) -> Picture:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(f"a picture array is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    _check_size(array.shape[1], array.shape[0])
    if array.dtype == np.uint8:
        return _from_pil(Image.fromarray(np.ascontiguousarray(array)), "the array")
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"a picture array is uint8 or float in [0, 1], not {array.dtype}")
    unit = array.astype(np.float32)
    if not (unit.min() >= 0 and unit.max() <= 1):  # written so that NaN fails too
        raise InputError("a float picture array has values in [0, 1]; divide by its maximum, or pass uint8")
    original = Image.fromarray(np.ascontiguousarray((unit * 255).round().astype(np.uint8)))
    colours = np.repeat(unit[..., None], 3, axis=2) if unit.ndim == 2 else unit[..., :3]
    return Picture(_to_pixels(colours), _colours_and_alpha(original)[1], None, original)


def is_wide(image: Image.Image) -> bool:
    """Whether a picture has more than 8 bits a value, all of which are read: it is grey then."""
    return image.mode in _WIDE_MODES or image.mode.startswith("I;16")


def wide(unit: Array) -> Image.Image:
    """A grey picture of 16 bits from (H, W) in [0, 1]; other values are clipped."""
    return Image.fromarray((np.clip(unit, 0, 1) * 65535).round().astype(np.uint16))


def _with(image: Image.Image, alpha: Image.Image | None, icc_profile: bytes | None) -> Image.Image:
    if alpha is not None:
        image.putalpha(alpha)
    if icc_profile is not None:
        image.info["icc_profile"] = icc_profile
    return image


def _check_size(width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"a picture of {width}x{height} pixels; each side must be from 1 to {MAX_SIDE}")


def _upright(image: Image.Image) -> Image.Image:
    """Return a copy with the EXIF orientation applied and its tag removed."""
    from PIL import ImageOps  # only here, for it takes its time

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that Pillow copes with
            return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data is no reason to refuse pixels that did decode
        return image.copy()


def _colours_and_alpha(image: Image.Image) -> tuple[Array, Image.Image | None]:
    """Return the colours as (H, W, 3) float32 in [0, 1], whatever the mode, and alpha if there is any."""
    if is_wide(image):
        return np.repeat(_unit_grey(image)[..., None], 3, axis=2), _alpha_of_key(image)
    try:
        if not image.has_transparency_data:
            return _unit(image.convert("RGB")), None
        straight = image.convert("LA") if image.mode == "La" else image  # Pillow cannot convert La to RGBA directly
        rgba = straight.convert("RGBA")
    except ValueError:
        raise ImageError(f"cannot convert colours of mode {image.mode}; save the picture as RGB") from None
    return _unit(rgba.convert("RGB")), rgba.getchannel("A")


def _alpha_of_key(image: Image.Image) -> Image.Image | None:
    """Return the alpha of a wide grey picture: a PNG may declare one grey value as transparent."""
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return None
    return Image.fromarray(np.where(np.asarray(image) == key, 0, 255).astype(np.uint8))


def _unit(image: Image.Image) -> Array:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def _unit_grey(image: Image.Image) -> Array:
    """Scale more than 8 bits a value to [0, 1]: integers from 16 bits, floats from [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    if image.mode != "F":
        values /= 65535
    if not (values.min() >= 0 and values.max() <= 1):  # written so that NaN fails too
        raise ImageError(f"values outside the range of mode {image.mode}; save the picture with 8 or 16 bits")
    return values


def _to_pixels(unit: Array) -> Array:
    """(H, W, 3) in [0, 1] -> (1, 3, H, W) in [-1, 1], contiguous."""
    return np.ascontiguousarray(unit.transpose(2, 0, 1)[None]) * np.float32(2) - np.float32(1)


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return the ICC profile if it describes RGB: the output is RGB, a CMYK or grey one would not fit."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None
