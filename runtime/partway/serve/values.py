"""Settings under anybody's names and in any type, as forms and JSON bring them, to those of `partway.Settings`."""

import json
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from partway.diffusion import names
from partway.errors import InputError
from partway.serve.refusals import invalid
from partway.settings import Options

ALIASES: Mapping[str, str] = {
    **{other: own for other, own in names.SETTING_ALIASES.items() if own in Options.__annotations__},
    "step": "steps",
    "rng_seed": "seed",
    "guidance": "guidance_scale",
    "denoise_strength": "strength",
    "sample_method": "sampler",
    "schedule_method": "schedule",
}
"""What servers call settings, and partway's name of each. `image_strength` is none: it runs the other way."""

UNSET = ("", None, "auto", "automatic", "default", "none", "null")
"""What clients send for a sampler, a schedule or a seed that they leave to the server; case does not count."""

LONGEST = 32_000
"""Characters of a prompt, as OpenAI has it."""

_LOCAL = (
    "denoising_start",
    "denoising_end",
    "loras",
    "embeddings",
    "control",
    "ip_adapter",
)  # for runs that are handed on, and files: no client has them
_TEXT = [name for name, kind in get_type_hints(Options).items() if str in (kind, *get_args(kind))]


def settings(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings in the fields of a request, and the names of the fields that are none.

    Where a setting is there under two names, partway's own wins. Values of a form are text: numbers, truth values and
    lists are read from it as from JSON.
    """
    found: dict[str, Any] = {}
    others: list[str] = []
    for field, value in given.items():
        name = ALIASES.get(field, field)
        if name not in Options.__annotations__ or name in _LOCAL:
            others.append(field)
        elif field == name or name not in found:
            found[name] = _typed(name, field, value)
    kept = {name: value for name, value in found.items() if value is not None}
    return _either(kept), others


def whole(field: str, value: Any, low: int, high: int) -> int:
    """A whole number between two limits, from JSON or text; raises `Refusal`."""
    number = _parsed(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise invalid(f"{field} must be a whole number between {low} and {high}, not {value!r}", field)
    return number


def true(value: Any) -> bool:
    """Whether a field of JSON or a form says yes."""
    return bool(_parsed(value)) and str(value).lower() not in ("false", "no", "off", "none")


def text(field: str, value: Any) -> str:
    """Text, where None is none; raises `Refusal` for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{field} must be text", field)
    if len(value) > LONGEST:
        raise invalid(f"{field} must have at most {LONGEST} characters", field)
    return value.encode("utf-8", "replace").decode()  # JSON may hold halves of characters


def _typed(name: str, field: str, value: Any) -> Any:
    """The value in the setting's type; None for what leaves it to the model."""
    if name in ("sampler", "schedule", "seed") and _leaves(value):
        return None
    if name in _TEXT:
        return text(field, value)
    return _parsed(value)


def _leaves(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in UNSET)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value.strip().lower())
    except (ValueError, RecursionError):
        return value


def _either(found: dict[str, Any]) -> dict[str, Any]:
    """Some name a sampler as ``scheduler``, as diffusers does."""
    schedule = found.get("schedule")
    if schedule is None or "sampler" in found:
        return found
    try:
        names.schedule(schedule)
    except InputError:
        try:
            names.sampler(schedule)
        except InputError:
            return found
        return {"sampler" if name == "schedule" else name: value for name, value in found.items()}
    return found
