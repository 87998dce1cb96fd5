"""Sound files that the campaign breaks: pictures of every format that Pillow writes, models, records."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import checkpoint_shapes as shapes
import stored
import toy
from partway.model.vocabulary import pairs

SIDE = (40, 24)
UNREADABLE = {"EPS", "PDF", "WMF"}  # by programs of their own, or not at all
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "PA")
OPTIONS = {
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "jpeg"}),
    "JPEG": ({}, {"progressive": True}, {"subsampling": 2, "optimize": True}),
    "WEBP": ({}, {"lossless": True}),
    "PNG": ({}, {"interlace": True}),
    "GIF": ({}, {"save_all": True, "append_images": True}),
}


def pictures() -> dict[str, bytes]:
    """Small pictures of every format and mode, with and without metadata, by a name."""
    Image.init()
    y, x = np.mgrid[: SIDE[1], : SIDE[0]]
    plain = Image.fromarray(np.stack([6 * x, 10 * y, 3 * (x + y)], axis=2).astype(np.uint8))
    found = {}
    for format_ in sorted(set(Image.SAVE) - UNREADABLE):
        for mode in MODES:
            image = _in_mode(plain, mode)
            for number, options in enumerate(OPTIONS.get(format_, ({},))):
                if "append_images" in options:
                    options = options | {"append_images": [image.rotate(180)]}
                for more in ({}, _metadata(format_)):
                    data = _saved(image, format_, {**options, **more})
                    if data is not None:
                        found[f"{format_} {mode} {number} {'told' if more else 'bare'}"] = data
    return found


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    grey = np.asarray(image.convert("L"))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 257)
    if mode == "PA":
        return image.convert("P").convert("PA")
    return image.convert("RGBA").convert(mode) if mode in ("RGBA", "LA") else image.convert(mode)


def _metadata(format_: str) -> dict:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a room"
    profile = {"icc_profile": b"\0" * 16 + b"RGB " + b"\0" * 200}
    if format_ == "PNG":
        text = PngInfo()
        text.add_text("parameters", "a room\nSteps: 3")
        text.add_itxt("workflow", '{"nodes": []}', zip=True)
        return {"pnginfo": text, "exif": exif, **profile}
    return {"exif": exif, **profile} if format_ in ("JPEG", "WEBP", "TIFF", "AVIF", "MPO") else {"dpi": (72, 72)}


def _saved(image: Image.Image, format_: str, options: dict) -> bytes | None:
    file = io.BytesIO()
    try:
        image.save(file, format_, **options)
        Image.open(io.BytesIO(file.getvalue())).load()
    except Exception:  # of formats that do not hold this mode, or need a library that is not here
        return None
    return file.getvalue()


def recorded(record: bytes | str, suffix: str, picture: Image.Image) -> bytes:
    """A picture with any text as its record, where partway puts it."""
    file, text = io.BytesIO(), record.decode("latin-1") if isinstance(record, bytes) else record
    if suffix == ".png":
        info = PngInfo()
        info.add_text("partway", text)
        picture.save(file, "PNG", pnginfo=info)
    else:
        exif = Image.Exif()
        exif[0x8769] = {0x927C: text.encode("latin-1")[:60_000]}
        picture.save(file, {".jpg": "JPEG", ".webp": "WEBP"}[suffix], exif=exif)
    return file.getvalue()


def models(folder: Path) -> dict[str, Path]:
    """A toy model; the same with one file for its vocabulary; one of weights that are not exported, file and folder."""
    plain = toy.build(folder / "plain", shallow=True, tiny=True)
    combined = shutil.copytree(plain, folder / "combined")
    words, merges = pairs()
    known = (*list(words)[:572], "<|startoftext|>", "<|endoftext|>")  # as many as the toy's text encoder
    words = {word: number for number, word in enumerate(known)}
    model = {"type": "BPE", "vocab": words, "merges": [" ".join(pair) for pair in merges[:60]]}
    model |= {"unk_token": "<|endoftext|>", "end_of_word_suffix": "</w>"}
    added = [{"id": words["<|endoftext|>"], "content": "<|endoftext|>", "special": True, **FALSE}]
    (combined / "tokenizer/tokenizer.json").write_text(
        json.dumps({"version": "1.0", "added_tokens": added, "model": model})
    )
    files = {"unet/model.onnx": {"sha256": "a" * 64, "bytes": 1}}
    manifest = {"partway": 1, "source": "a/toy", "revision": None, "weights": "fp32", "files": files}
    manifest |= {"goldens": {}, "verification": {}, "calibration": {"pictures": ["a"], "samples": 3, "calls": 4}}
    (combined / "partway.json").write_text(json.dumps(manifest))
    return {"plain": plain, "combined": combined}


FALSE = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


def checkpoint(path: Path) -> bytes:
    """The header of a model's file, of which the rest is zeros."""
    stored.sparse(path, shapes.sd1(), metadata={"modelspec.resolution": "512x512"})
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return file.read(length)


def configs(folder: Path) -> Iterator[Path]:
    """The JSON files of a model folder."""
    return (file for file in sorted(folder.rglob("*.json")) if "tokenizer" not in file.parent.name)


def record_of(made: Path) -> dict:
    """The record in a picture."""
    return json.loads(Image.open(made).info["partway"])
