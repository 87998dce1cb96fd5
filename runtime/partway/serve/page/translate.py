"""From what the page sends to a wish: partway's own names, and a picture, a mask or an earlier result."""

from collections.abc import Mapping
from typing import Any

from partway.serve import values
from partway.serve.http import Call
from partway.serve.refusals import Refusal
from partway.serve.service import Service
from partway.serve.wishes import Wish


def wish(call: Call, service: Service) -> Wish:
    """What a run of the page asks for; raises `Refusal`, also where the result that it goes on from is gone."""
    fields = call.fields
    given, _ = values.settings(fields)
    image, mask = (call.files.get(name, [None])[0] for name in ("image", "mask"))
    latents = None
    if name := fields.get("from"):
        kept = service.store.get(str(name))
        if kept is None or kept.latents is None:
            raise Refusal(410, "that result is gone from the server; start from the picture", param="from", code="gone")
        latents, image, mask = kept.latents, None, None
    return Wish(
        prompt=values.text("prompt", fields.get("prompt")),
        model=values.text("model", fields.get("model")) or None,
        settings=service.defaults(given, from_picture=image is not None or latents is not None),
        picture=image,
        mask=mask,
        only_masked=values.true(fields.get("only_masked", False)),
        size=None if latents is not None else size(fields),
        latents=latents,
    )


def size(fields: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size asked for, if any."""
    if not fields.get("width") or not fields.get("height"):
        return None
    width, height = (values.whole(name, fields[name], 8, 10**5) for name in ("width", "height"))
    return width, height
