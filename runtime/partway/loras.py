"""What a user says of adapters: a file each, and how much of what it changes counts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from partway.errors import InputError, number

MAX_WEIGHT = 100
BLOCKS = (12, 17, 20, 26)
"""How many numbers a list of block weights has (`partway.adapters.blocks`)."""

_KEYS = {"unet": "unet", "text": "text", "te": "text", "blocks": "blocks"}
# Patterns that `re` compiles, and keeps, when they are first used.
_TAG = r"<(?:lora|lyco):([^<>:]+)((?::[^<>:]*)*)>"
_ENDS = r":\s*(?:(unet|text|te|blocks)\s*=\s*)?([-+]?[\d.][\d.,e+-]*)\s*$"


@dataclass(frozen=True)
class Lora:
    """An adapter (LoRA or relative); `InputError` names what cannot be.

    file    its path
    unet    how much of its change of the UNet counts, -100 .. 100: 0 is nothing, 1 is what it was trained for
    text    the same of the text encoders; None for as much as ``unet``
    blocks  factors on both: the text encoders', then one for each block of the UNet; empty for 1 everywhere
    """

    file: str
    unet: float = 1.0
    text: float | None = None
    blocks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.file, str | Path) or not str(self.file):
            raise InputError(f"a LoRA is named by its file, not {self.file!r}")
        text = self.unet if self.text is None else self.text
        values = self.blocks if isinstance(self.blocks, Iterable) and not isinstance(self.blocks, str) else (0,)
        blocks = tuple(number("a block's weight", one, -MAX_WEIGHT, MAX_WEIGHT) for one in values)
        if blocks and len(blocks) not in BLOCKS:
            raise InputError(f"block weights are {', '.join(map(str, BLOCKS))} numbers, not {len(blocks)}")
        object.__setattr__(self, "file", str(self.file))
        object.__setattr__(self, "unet", number("a LoRA's weight", self.unet, -MAX_WEIGHT, MAX_WEIGHT))
        object.__setattr__(self, "text", number("a LoRA's text weight", text, -MAX_WEIGHT, MAX_WEIGHT))
        object.__setattr__(self, "blocks", blocks)

    @property
    def name(self) -> str:
        """The file's name without its ending, which is what A1111 calls it."""
        return Path(self.file).stem

    @property
    def tag(self) -> str:
        """What A1111 writes into a prompt for it: one weight, or that of the text encoder before the UNet's."""
        text = "" if self.text == self.unet else f"{self.text:g}:"
        return f"<lora:{self.name}:{text}{self.unet:g}>"

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self) | {"blocks": list(self.blocks)}


def chosen(value: Any) -> tuple[Lora, ...]:
    """Adapters from what a user gave: ``{"film.safetensors": 0.8}``, or several `Lora`.

    In place of the number a mapping may have fields of `Lora`. Raises `InputError`.
    """
    if value is None:
        return ()
    if isinstance(value, Mapping):
        value = [_one(file, weight) for file, weight in value.items()]
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InputError(f'loras are files with weights, like {{"film.safetensors": 0.8}}, not {value!r}')
    return tuple(one if isinstance(one, Lora) else _of(one) for one in value)


def parsed(text: str) -> Lora:
    """An adapter from ``FILE:0.8``, ``FILE:unet=0.8:text=0.5`` or ``FILE:0.8:blocks=1,0,...``; raises `InputError`."""
    file, fields = text, dict[str, Any]()
    while found := re.search(_ENDS, file, re.IGNORECASE):
        name = _KEYS[(found[1] or "unet").lower()]
        try:
            numbers = [float(part) for part in found[2].split(",")]
        except ValueError:
            raise InputError(f"a LoRA is given as FILE:0.8, not {text!r}") from None
        if name in fields or (len(numbers) > 1 and name != "blocks"):
            raise InputError(f"a LoRA is given as FILE:0.8, and {text!r} has too many numbers")
        fields[name] = numbers if name == "blocks" else numbers[0]
        file = file[: found.start()]
    return Lora(file, **fields)


def in_prompt(prompt: str, folder: str | Path) -> tuple[str, tuple[Lora, ...]]:
    """A prompt without A1111's ``<lora:NAME:0.8>``, and the adapters of such names in a folder and those below it.

    One weight is for all; of two the first is the text encoders'. They may be named: ``te=0.5:unet=1``. What is written
    otherwise stays in the prompt. Raises `InputError` for a name that is not there.
    """
    found: list[Lora] = []

    def take(tag: re.Match[str]) -> str:
        weights = _weights(tag[2].split(":")[1:])
        if weights is None:
            return tag[0]
        text, unet = weights
        found.append(Lora(str(named(tag[1].strip(), folder)), unet, text))
        return ""

    rest = re.sub(_TAG, take, prompt, flags=re.IGNORECASE)
    return (rest.strip() if found else prompt), tuple(found)


def named(name: str, folder: str | Path) -> Path:
    """The adapter of a name in a folder or below it; raises `InputError` where there is none."""
    files = sorted(Path(folder).rglob("*.safetensors"))
    for file in files:
        if name in (file.stem, file.name):
            return file
    there = ", ".join(file.stem for file in files[:10]) or "none"
    raise InputError(f"<lora:{name}> is not in {folder}, which has {there}{', ...' * (len(files) > 10)}")


def _weights(fields: list[str]) -> tuple[float, float] | None:
    """The weights of the text encoders and of the UNet in a tag; None if they are no numbers."""
    given: dict[str, float] = {}
    for place, one in enumerate(fields):
        key, sign, value = one.strip().rpartition("=")
        name = key.strip().lower() if sign else ("te", "unet")[place] if place < 2 else ""
        try:
            given[name] = float(value)
        except ValueError:
            return None
    if not given.keys() <= {"te", "unet"}:
        return None
    text = given.get("te", 1.0)
    return text, given.get("unet", text)


def _one(file: Any, weight: Any) -> Lora:
    return _of({"file": file, **weight}) if isinstance(weight, Mapping) else Lora(file, weight)


def _of(fields: Any) -> Lora:
    known = ("file", "unet", "text", "blocks")
    if not isinstance(fields, Mapping) or "file" not in fields or not set(fields) <= set(known):
        raise InputError(f"a LoRA has {', '.join(known)}, not {fields!r}")
    return Lora(**fields)
