"""Named combinations of ways to be fast or small: how much exactness is given for it, in one word.

A preset is options of `partway.load` and settings of a run. What the user sets wins, and what the machine or the model
does not have (OpenVINO, a split UNet, a tiny VAE) is left out.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

from partway.engines import EngineOptions
from partway.errors import choose
from partway.package import SHALLOW, Package
from partway.vaes import VAES


class Preset(NamedTuple):
    """What it does, options of `partway.load`, and settings of a run."""

    what: str
    options: dict[str, Any]
    settings: dict[str, Any]


_REUSED = {"reuse": 0.2}
_TINY = {"vae": "tiny"}
_SMALL = {"precision": "fastest", "release": True, "batch": 1}
_QUICK = {"engine": "openvino", "precision": "fastest", "static": True}

PRESETS = {
    "exact": Preset("all the work, in the processor's own precision and for the picture's own size", _QUICK, {}),
    "balanced": Preset("as exact, but the UNet's outermost layers alone where that changes little", _QUICK, _REUSED),
    "fast": Preset("as balanced, but more often, and with the tiny VAE", _QUICK, {"reuse": 0.3, **_TINY}),
    "tiny": Preset("little memory: one network and one row at a time, and the tiny VAE", _SMALL, _TINY),
}


def options(preset: str | None, given: Mapping[str, Any]) -> tuple[str, EngineOptions]:
    """An engine's name and options: those ``given`` that are not None, else the preset's, else the defaults.

    Raises `InputError` for an unknown preset, and as `EngineOptions` does.
    """
    chosen = dict(PRESETS[choose("preset", preset, PRESETS)].options) if preset is not None else {}
    if find_spec("openvino") is None:
        chosen.pop("engine", None)
    chosen |= {name: value for name, value in given.items() if value is not None}
    return chosen.pop("engine", "auto"), EngineOptions(**chosen)


def under(preset: str | None, package: Package) -> Package:
    """The package with those of the preset's settings that it can do, where the user gives none."""
    if preset is None:
        return package
    has = {"reuse": SHALLOW in package.networks, "vae": VAES["tiny"][0] in package.networks}
    settings = {name: value for name, value in PRESETS[preset].settings.items() if has[name]}
    return replace(package, defaults={**package.defaults, **settings})
