"""What the body of a request says: JSON under any content type, and forms, each within limits."""

import io
import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartParser, parse_options_header

from partway.serve.limits import BODY, PARTS, SMALL_BODY
from partway.serve.refusals import Refusal, invalid

Fields = dict[str, Any]
Files = dict[str, list[bytes]]

_INDEX = re.compile(r"\[\d*\]$")  # of a list: image[], image[0]


def read(data: bytes, content_type: str) -> tuple[Fields, Files]:
    """The fields of a body, and the files of a form by field.

    ``image``, ``image[]`` and ``image[0]`` are one field of a form. Of several values the last counts, of several
    files all do. Raises `Refusal` for what cannot be read.
    """
    kind, options = parse_options_header(content_type or "")
    if kind == "multipart/form-data":
        return _form(data, options.get("boundary", ""))
    if not data.strip():
        return {}, {}
    if kind == "application/x-www-form-urlencoded" and data.lstrip()[:1] not in b'{["':
        return query(data.decode("latin-1")), {}
    return _json(data), {}


def query(text: str) -> Fields:
    """The fields of a query."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=PARTS, errors="replace"))
    except ValueError:
        raise invalid("too many fields in the query") from None


def size_limit(path: str) -> int:
    """Bytes that a request to this path may have."""
    return BODY if _WITH_PICTURES.search(path) else SMALL_BODY


_WITH_PICTURES = re.compile(r"/(edits|variations|generations|img2img|txt2img|png-info|extra-[a-z-]+|runs|record)$")


def _json(data: bytes) -> Fields:
    try:
        found = json.loads(data, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON; send JSON, or a form as multipart/form-data") from None
    if found == "" or found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid("the body must be a JSON object")
    return found


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    """A number of JSON; ValueError for one beyond what Python's floats hold."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _form(data: bytes, boundary: str) -> tuple[Fields, Files]:
    if not boundary:
        raise invalid("a form needs its boundary in the content type")
    parts = MultipartParser(
        io.BytesIO(data), boundary, len(data), part_limit=PARTS, spool_limit=BODY, memory_limit=BODY, disk_limit=0
    )
    fields: Fields = {}
    files: Files = {}
    try:
        for part in parts:
            name = _INDEX.sub("", part.name or "")
            if part.filename is None and not (part.content_type or "").startswith("image/"):
                fields[name] = part.raw.decode("utf-8", "replace")
            else:
                files.setdefault(name, []).append(part.raw)
            part.close()
    except (MultipartError, LookupError, UnicodeError) as problem:
        raise Refusal(400, f"the form cannot be read: {problem}") from None
    return fields, files


def merged(fields: Mapping[str, Any]) -> Fields:
    """Fields with those inside an object named extra_body, which people send as it stands in examples."""
    extra = fields.get("extra_body")
    plain = {name: value for name, value in fields.items() if name != "extra_body"}
    return {**extra, **plain} if isinstance(extra, dict) else dict(fields)
