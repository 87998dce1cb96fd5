"""What a user says of pictures that guide a run: a network each, a picture, and how much and how long it counts."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from partway.errors import InputError, choose, number
from partway.graphs import MAX_CONTROLS

KINDS = {
    "ready": "the picture as it is, made for the network by another tool",
    "canny": "white lines where it has edges (Canny 1986)",
    "invert": "its negative, as for drawings in black on white",
    "blur": "it without fine detail",
    "tile": "it at an eighth of its size and back, for a network that adds detail",
    "mask": "it with what the run's mask covers marked, for a network that inpaints",
}
"""What is made of a picture before a network sees it, by name."""

MAX_SCALE = 10


@dataclass(frozen=True, eq=False)
class Control:
    """A picture that guides a run through a ControlNet or a T2I-Adapter; `InputError` names what cannot be.

    network     the ControlNet's or adapter's file, or its folder as diffusers saves it
    picture     a file name, a PIL image or an array; None for the picture that the run starts from
    kind        a key of `KINDS`
    scale       0 .. 10, how much it counts: 0 is nothing
    start, end  the share of a run's steps after which it begins and ends to count
    guess_mode  whether it guides only the prediction for the prompt, coarse layers more than fine ones
    """

    network: str
    picture: Any = None
    kind: str = "ready"
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess_mode: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.network, str | os.PathLike) or not os.fspath(self.network):
            raise InputError(f"a control's network is named by its file or folder, not {self.network!r}")
        object.__setattr__(self, "network", os.fspath(self.network))
        choose("control kind", self.kind, KINDS)
        for name, most in (("scale", MAX_SCALE), ("start", 1), ("end", 1)):
            object.__setattr__(self, name, number(f"a control's {name}", getattr(self, name), 0, most))
        if self.start >= self.end:
            raise InputError(f"a control's start must be below its end, not {self.start:g} and {self.end:g}")
        if not isinstance(self.guess_mode, bool):
            raise InputError(f"a control's guess_mode must be True or False, not {self.guess_mode!r}")

    @property
    def name(self) -> str:
        """The file's name without its ending, which is what A1111 calls it."""
        return Path(self.network).stem

    def counts(self, step: int, steps: int) -> bool:
        """Whether it has a part in a step (from 0) of so many, as diffusers decides that."""
        return not (step / steps < self.start or (step + 1) / steps > self.end)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values, of files their names alone."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        return shown | {"network": Path(self.network).name, "picture": _named(self.picture)}


@dataclass(frozen=True, eq=False)
class IPAdapter:
    """A picture that a run takes for a part of its prompt, through an IP-Adapter; `InputError` names what cannot be.

    network  the adapter's file
    picture  a file name, a PIL image or an array; None for the picture that the run starts from
    scale    0 .. 10, how much it counts beside the text: 0 is nothing
    encoder  its encoder of pictures, a file or a folder; None for the folder image_encoder beside the adapter
    """

    network: str
    picture: Any = None
    scale: float = 1.0
    encoder: str | None = None

    def __post_init__(self) -> None:
        for name, what in (("network", "an IP-Adapter"), ("encoder", "its encoder")):
            value = getattr(self, name)
            if value is None and name == "encoder":
                continue
            if not isinstance(value, str | os.PathLike) or not os.fspath(value):
                raise InputError(f"{what} is named by its file or folder, not {value!r}")
            object.__setattr__(self, name, os.fspath(value))
        object.__setattr__(self, "scale", number("an IP-Adapter's scale", self.scale, 0, MAX_SCALE))

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values, of files their names alone."""
        names = {"network": Path(self.network).name, "picture": _named(self.picture)}
        return names | {"scale": self.scale, "encoder": None if self.encoder is None else Path(self.encoder).name}


def image_prompt(value: Any) -> IPAdapter | None:
    """An IP-Adapter from what a user gave: one, or a mapping of its fields; raises `InputError`."""
    if value is None or isinstance(value, IPAdapter):
        return value
    known = [field.name for field in fields(IPAdapter)]
    if not isinstance(value, Mapping) or "network" not in value or not set(value) <= set(known):
        raise InputError(f"an IP-Adapter has {', '.join(known)}, not {value!r}")
    return IPAdapter(**value)


def _named(picture: Any) -> str | None:
    return None if picture is None else Path(picture).name if isinstance(picture, str | os.PathLike) else "a picture"


def chosen(value: Any) -> tuple[Control, ...]:
    """Controls from what a user gave: one, or several, each a `Control` or a mapping of its fields.

    Raises `InputError`.
    """
    if value is None:
        return ()
    if isinstance(value, Control | Mapping):
        value = [value]
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InputError(f"control is partway.Control(...), or several of them, not {value!r}")
    found = tuple(map(_of, value))
    if len(found) > MAX_CONTROLS:
        raise InputError(f"a run takes at most {MAX_CONTROLS} controls, not {len(found)}")
    return found


def _of(value: Any) -> Control:
    if isinstance(value, Control):
        return value
    known = [field.name for field in fields(Control)]
    if not isinstance(value, Mapping) or "network" not in value or not set(value) <= set(known):
        raise InputError(f"a control has {', '.join(known)}, not {value!r}")
    return Control(**value)


def parsed(text: str) -> dict[str, Any]:
    """The fields of a control from ``KIND``, ``KIND:PICTURE``, ``KIND:SCALE`` or ``KIND:PICTURE:SCALE``.

    Raises `InputError`.
    """
    kind, _, rest = text.partition(":")
    choose("control kind", kind, KINDS)
    picture, colon, last = rest.rpartition(":")
    scale = _number(last)
    if scale is None:
        picture, scale = rest, 1.0
    if colon and not picture:
        raise InputError(f"a control is given as KIND:PICTURE:SCALE, as in canny:room.jpg:0.8, not {text!r}")
    return {"kind": kind, "picture": picture or None, "scale": number("a control's scale", scale, 0, MAX_SCALE)}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
