"""What the formats of results cannot hold, so that it is said before the work."""

import json
from collections.abc import Iterable

from partway.errors import InputError
from partway.pictures.images import Picture, is_wide
from partway.support.warning import warn

_LONGEST = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}  # pixels of a side
_WITHOUT_ALPHA = _SHORT = (".jpg", ".jpeg")
_DEEP = (".png",)
_TEXT = 60_000  # bytes of settings in a JPEG, less what they take beside the prompts


def check_holds(
    suffix: str, size: tuple[int, int], *, picture: Picture | None, untouched: bool, texts: Iterable[str] = ()
) -> None:
    """Raise `InputError` if a format, by its suffix, cannot hold a result of this size; warn of what it would lose.

    picture: what the result gets its transparency from; untouched: whether the result is that picture itself; texts:
    the prompts that are written into it.
    """
    suffix = suffix.lower()
    longest = _LONGEST.get(suffix)
    if longest is not None and max(size) > longest:
        raise InputError(f"the result has {size[0]}x{size[1]} pixels and {suffix} holds {longest} a side; write .png")
    if picture is not None and picture.alpha is not None and suffix in _WITHOUT_ALPHA:
        warn(f"{suffix} holds no transparency, so that of the picture is laid on white; .png and .webp keep it")
    if picture is not None and untouched and is_wide(picture.original) and suffix not in _DEEP:
        warn(f"{suffix} holds 8 bits of the picture's 16; .png keeps them")
    if suffix in _SHORT and sum(map(_bytes, texts)) > _TEXT:
        warn(f"{suffix} holds no settings as long as these, so that the picture cannot be replayed; .png and .webp do")


def _bytes(text: str) -> int:
    """What a prompt takes in a file, where it stands twice: in JSON of ASCII, and in UTF-16."""
    return len(json.dumps(text)) + 2 * len(text)
