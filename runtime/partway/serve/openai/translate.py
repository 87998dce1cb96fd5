"""From the fields of OpenAI's images API, and what other servers added to it, to a wish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partway.serve import bodies, photos, values
from partway.serve.http import Call
from partway.serve.refusals import invalid
from partway.serve.service import Service
from partway.serve.wishes import Wish

SUFFIXES: Mapping[str, str] = {"png": ".png", "jpeg": ".jpeg", "jpg": ".jpeg", "webp": ".webp"}
"""Of ``output_format``."""

PARTIAL = 3
"""The most partial pictures of a stream."""

_PICTURES = ("image", "images", "init_image", "input_image", "image_url", "reference_image", "url", "file", "files")
_MASKS = ("mask", "mask_image")
_OWN = (
    "prompt", "model", "n", "num_images_per_prompt", "size", "width", "height", "response_format", "output_format",
    "output_compression", "stream", "partial_images", "user", "only_masked", "padding", "mask_blur",
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How the answer is wanted.

    suffix, quality  of the pictures' files
    links    whether links to them are, in their place
    stream   whether the answer comes as events, with so many ``partial`` pictures before each whole one
    """

    suffix: str
    quality: int
    links: bool
    stream: bool
    partial: int


def wish(call: Call, service: Service, *, picture: bool, prompt: bool = True) -> tuple[Wish, Form]:
    """What a request asks for. ``picture`` says whether there has to be one, ``prompt`` whether there has to be text.

    Raises `Refusal`.
    """
    fields = bodies.merged(call.fields)
    settings, others = values.settings(fields)
    ignored = [name for name in others if name not in (*_OWN, *_PICTURES, *_MASKS)]
    pictures = _files(call, fields, _PICTURES)
    if picture and not pictures:
        raise invalid("image is missing: the picture to start from", "image")
    if prompt and not fields.get("prompt"):
        raise invalid("prompt is missing: what the picture should show", "prompt")
    if len(pictures) > 1:
        ignored.append("image[1:]")
    masks = _files(call, fields, _MASKS)
    own: dict[str, Any] = {
        "padding": values.whole("padding", fields.get("padding", 32), 0, 4096),
        "mask_blur": values.whole("mask_blur", fields.get("mask_blur", 0), 0, 1000),
        "only_masked": values.true(fields.get("only_masked", False)),
    }
    made = Wish(
        prompt=values.text("prompt", fields.get("prompt")),
        model=values.text("model", fields.get("model")) or None,
        settings=service.defaults(settings, from_picture=bool(pictures)),
        count=values.whole("n", _first(fields, "n", "num_images_per_prompt", default=1), 1, 10**6),
        picture=pictures[0] if pictures else None,
        mask=masks[0] if masks and pictures else None,
        size=_size(fields),
        ignored=tuple(ignored),
        **own,
    )
    return made, _form(fields)


def _form(fields: Mapping[str, Any]) -> Form:
    suffix = SUFFIXES.get(str(fields.get("output_format") or "png").lower())
    if suffix is None:
        raise invalid("output_format must be png, jpeg or webp", "output_format")
    wanted = fields.get("response_format") or "b64_json"
    if wanted not in ("b64_json", "url"):
        raise invalid("response_format must be b64_json or url", "response_format")
    quality = values.whole("output_compression", _first(fields, "output_compression", default=95), 0, 100)
    partial = values.whole("partial_images", _first(fields, "partial_images", default=0), 0, PARTIAL)
    return Form(suffix, quality, wanted == "url", values.true(fields.get("stream", False)), partial)


def _files(call: Call, fields: Mapping[str, Any], names: tuple[str, ...]) -> list[bytes]:
    """The pictures under any of these names: a form's files first, else base64 in JSON or a form's text."""
    files = [data for name in names for data in call.files.get(name, [])]
    for name in () if files else names:
        found = fields.get(name)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, dict):
                one = one.get("image_url") or one.get("b64_json") or one.get("url")
                one = one.get("url") if isinstance(one, dict) else one
            if one not in (None, ""):
                files.append(photos.unpacked(one, name))
    return files


def _size(fields: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size asked for; None for the picture's own, or the model's."""
    size = _first(fields, "size", default="auto")
    if "width" in fields and "height" in fields:
        width, height = (values.whole(name, fields[name], 1, 10**5) for name in ("width", "height"))
        return width, height
    if size == "auto":
        return None
    sides = str(size).lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
        raise invalid(f"size must be auto or WIDTHxHEIGHT, not {size!r}", "size")
    return int(sides[0]), int(sides[1])


def _first(fields: Mapping[str, Any], *names: str, default: Any) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), default)
