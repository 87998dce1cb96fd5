"""The flags of pictures that guide a run, and the settings that they become."""

import argparse
from typing import Any

from partway.controls import KINDS, Control, IPAdapter, parsed
from partway.errors import InputError

_COMMON = {"start": "control_start", "end": "control_end", "guess_mode": "guess_mode"}
_IMAGE = {"network": "ip_network", "picture": "ip_picture", "scale": "ip_scale", "encoder": "ip_encoder"}
"""Fields of `Control` and of `IPAdapter`, and where their flags are kept."""


def add_controls(group: Any) -> None:
    """Add --control, which says what a picture guides, --ip-adapter, and what goes with them."""

    def add(flag: str, type_: Any, dest: str, metavar: str, text: str, *, several: bool = False) -> None:
        action = "append" if several else "store"
        group.add_argument(
            flag, type=type_, action=action, dest=dest, metavar=metavar, default=argparse.SUPPRESS, help=text
        )

    text = f"let a picture guide: {', '.join(KINDS)}, as in canny:room.jpg:0.8; without PICTURE it is the one to "
    add("--control", str, "controlled", "KIND:PICTURE:SCALE", f"{text}start from; can be repeated", several=True)
    text = "the ControlNet or T2I-Adapter of each --control, in their order"
    add("--control-model", str, "control_models", "FILE", text, several=True)
    add("--control-start", float, "control_start", "S", "0 to 1, the share of steps after which controls count")
    add("--control-end", float, "control_end", "S", "0 to 1, the share of steps after which they count no more")
    text = "controls guide the prompt's prediction alone, coarse layers most"
    group.add_argument("--guess-mode", action="store_true", default=argparse.SUPPRESS, help=text)
    text = "an IP-Adapter, through which a picture counts as a part of the prompt"
    add("--ip-adapter", str, "ip_network", "FILE", text)
    add("--ip-image", str, "ip_picture", "PICTURE", "that picture; the one to start from if not given")
    add("--ip-scale", float, "ip_scale", "S", "how much it counts beside the text (default 1)")
    text = "its encoder of pictures (default: the folder image_encoder beside it)"
    add("--ip-encoder", str, "ip_encoder", "PATH", text)


def given_controls(options: argparse.Namespace) -> dict[str, Any]:
    """The settings ``control`` and ``ip_adapter``, where the user gave them; raises `InputError` for what lacks a part.

    The first --control goes through the first --control-model, and so on.
    """
    pictures, networks = controlled(options), getattr(options, "control_models", [])
    if len(pictures) != len(networks):
        raise InputError(
            f"each --control needs a --control-model, and there are {len(pictures)} and {len(networks)} of them"
        )
    common, image = _given(options, _COMMON), _given(options, _IMAGE)
    if common and not pictures:
        raise InputError("--control-start, --control-end and --guess-mode go with --control, and there is none")
    if image and "network" not in image:
        raise InputError("--ip-image, --ip-scale and --ip-encoder go with --ip-adapter, and there is none")
    each = zip(networks, pictures, strict=True)
    found: dict[str, Any] = {}
    if pictures:
        found["control"] = [Control(network, **{**picture, **common}) for network, picture in each]
    return found | ({"ip_adapter": IPAdapter(**image)} if image else {})


def controlled(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each --control says, as fields of `Control`; raises `InputError`."""
    return [parsed(text) for text in getattr(options, "controlled", [])]


def _given(options: argparse.Namespace, names: dict[str, str]) -> dict[str, Any]:
    return {own: getattr(options, name) for own, name in names.items() if hasattr(options, name)}
