"""Picture files as they are written: the formats, A1111's ``parameters`` text and a ``partway`` JSON record in them.

Web UIs and galleries read A1111's text (format: stable-diffusion-webui, modules/infotext_utils.py). The JSON record
holds everything that a replay needs. In PNG both are text chunks. In JPEG and WebP both are in EXIF: the text as
UserComment, where A1111 puts it, the record as MakerNote.

To add a format, add it to `FORMATS` and `_MODES`, and to `write` where it keeps text elsewhere or takes no quality. One
that Pillow reads and writes by a plugin needs that imported here, before `FORMATS`.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from partway.diffusion.names import A1111_SAMPLERS, A1111_SCHEDULES
from partway.errors import ImageError, choose
from partway.pictures import png
from partway.pictures.images import ADDRESS, eight_bit, is_wide, missing, sixteen_bit
from partway.support.files import write_atomically

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The formats in which results can be written, by file suffix."""

NO_STRENGTH = ("txt2img", "instruct")
"""The tasks that have no strength."""

_MODES = {  # what each format stores without loss of depth; other modes are written as 8-bit RGB or RGBA
    "PNG": ("1", "L", "LA", "P", "I;16", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}
_EXIF_IFD, _MAKER_NOTE, _USER_COMMENT = 0x8769, 0x927C, 0x9286
_UNICODE = b"UNICODE\0"  # EXIF 2.3, 4.6.5: marks a UserComment as UTF-16
_EXIF_LIMIT = 65_000  # bytes; one JPEG segment holds 65,533
_LONGEST = 10_000_000  # characters of a record; prompts may be long

_A1111_NOISE = {"torch-cpu": "CPU", "torch-cuda": "NV"}


def parameters_text(record: Mapping[str, Any]) -> str:
    """Return A1111's ``parameters`` text for a ``partway`` record (see `write`)."""
    settings, loras = record["settings"], record.get("loras", [])
    fields = {
        "Steps": settings["steps"],
        "Sampler": A1111_SAMPLERS.get(settings["sampler"], settings["sampler"]),
        "Schedule type": A1111_SCHEDULES.get(settings["schedule"], settings["schedule"]),
        "CFG scale": f"{settings['guidance_scale']:g}",
        "Image CFG scale": f"{settings['image_guidance_scale']:g}" if record["task"] == "instruct" else None,
        "Seed": settings["seed"],
        "Size": f"{record['width']}x{record['height']}",
        "Model": re.split(r"[/\\]", record["model"]["name"].rstrip("/\\"))[-1],  # a checkpoint's name, not its place
        "Denoising strength": f"{settings['strength']:g}" if record["task"] not in NO_STRENGTH else None,
        "Lora hashes": ", ".join(f"{one['name']}: {one['tensors_sha256'][:12]}" for one in loras) or None,
        "TI hashes": ", ".join(f"{one['name']}: {one['sha256'][:12]}" for one in record.get("embeddings", [])) or None,
        "Clip skip": settings["clip_skip"] + 1 if settings.get("clip_skip") else None,
        "RNG": _A1111_NOISE.get(settings["rng"], settings["rng"]),
        "Version": f"partway {record['partway']}",
    }
    lines = [" ".join([record["prompt"], *(one["tag"] for one in loras)])]
    if settings["negative_prompt"]:
        lines.append(f"Negative prompt: {settings['negative_prompt']}")
    lines.append(", ".join(f"{key}: {_quote(value)}" for key, value in fields.items() if value is not None))
    return "\n".join(lines).strip()


def write(
    image: Image.Image,
    file: BinaryIO,
    suffix: str,
    record: Mapping[str, Any],
    *,
    quality: int = 95,
    **options: Any,
) -> None:
    """Write ``image`` into ``file`` in the format of ``suffix`` (".png", ...) with ``record`` inside.

    record: JSON-ready; the record of a result has the keys of `partway.records.record`, that of a sheet any.
    quality: 0 to 100, of JPEG and WebP. Other options are Pillow's, of PNG.
    Raises InputError for an unknown suffix.
    """
    format_ = FORMATS[choose("picture format", suffix.lower(), FORMATS)]
    text = parameters_text(record) if "settings" in record else None
    if text is not None:
        text = text.encode(errors="replace").decode()  # bytes of the command line that are not UTF-8
    packed = json.dumps(record, ensure_ascii=True, sort_keys=True)
    image = _storable(image, format_)
    profile = image.info.get("icc_profile")
    if format_ == "PNG":
        chunks = PngInfo()
        if text is not None:
            chunks.add_text("parameters", text)
        chunks.add_text("partway", packed)
        image.save(file, format_, pnginfo=chunks, icc_profile=profile, **options)
    else:
        image.save(file, format_, quality=quality, icc_profile=profile, exif=_exif(text, packed, format_))


def save(image: Image.Image, path: Path, record: Mapping[str, Any]) -> None:
    """Write one picture with its record, whole or not at all; raises ImageError if the disk refuses."""
    write_atomically(path, lambda file: write(image, file, path.suffix, record))


def read_parameters(source: str | os.PathLike[str] | BinaryIO) -> dict[str, Any]:
    """Return the ``partway`` record inside a picture file that partway wrote.

    Raises ImageError if the file cannot be read or holds no such record.
    """
    packed = _packed(source)
    if not isinstance(packed, str | bytes) or packed[:1] not in ("{", b"{", "[", b"["):  # cameras have notes, too
        raise ImageError(f"{source} holds no partway settings; only pictures made by partway can be replayed")
    try:
        record = json.loads(packed) if len(packed) <= _LONGEST else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
        raise ImageError(f"the partway settings in {source} are damaged or are those of a sheet")
    return record


def _packed(source: str | os.PathLike[str] | BinaryIO) -> object:
    """What a picture file has in a record's place, None where there is nothing; raises as `read_parameters` does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that Pillow copes with
            file = png.readable(os.fspath(source))[0] if isinstance(source, str | os.PathLike) else source
            with Image.open(file) as image:
                image.load()  # a PNG's text may follow its pixels
                return image.info.get("partway") or image.getexif().get_ifd(_EXIF_IFD).get(_MAKER_NOTE)
    except FileNotFoundError:
        raise missing(str(source)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{source} is not a picture") from None
    except MemoryError:
        raise
    except Exception as problem:  # as in images: decoders raise anything
        if ADDRESS.match(str(source)):  # too long for a name
            raise missing(str(source)) from None
        raise ImageError(f"cannot read {source}: {problem}") from None


def check_suffix(path: Path) -> None:
    """Raise InputError if results cannot be written in the format that the end of ``path`` names."""
    choose("picture format", path.suffix.lower(), FORMATS)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixel_hash(image: Image.Image) -> str:
    """Return the SHA-256 of a picture's mode, size and pixels: the same after a lossless change of format."""
    head = f"{image.mode} {image.width}x{image.height}\n".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def _exif(text: str | None, packed: str, format_: str) -> bytes:
    exif = Image.Exif()
    exif[_EXIF_IFD] = {_MAKER_NOTE: packed.encode("ascii")}
    if text is not None:
        exif[_EXIF_IFD][_USER_COMMENT] = _UNICODE + text.encode("utf-16-be")
    data = exif.tobytes()
    return (
        data if len(data) < _EXIF_LIMIT or format_ != "JPEG" else b""
    )  # better a picture without its settings than none


def _storable(image: Image.Image, format_: str) -> Image.Image:
    """Return the picture in a mode that the format can hold; JPEG has no alpha, so that is laid on white."""
    if image.mode in _MODES[format_] and not (format_ == "JPEG" and image.has_transparency_data):
        return image
    if format_ == "PNG" and is_wide(image):
        return sixteen_bit(image)
    plain = eight_bit(image)
    if format_ == "JPEG" and plain.mode == "RGBA":
        white = Image.new("RGBA", plain.size, "white")
        flat = Image.alpha_composite(white, plain).convert("RGB")
        flat.info = plain.info
        return flat
    return plain


def _quote(value: object) -> str:
    """Quote as A1111 does: JSON where the text holds one of its separators."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
