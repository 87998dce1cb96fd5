"""Presets: how much exactness is given for speed or memory, in one word.

A preset is options of `partway.load` and settings of a run. What the user sets wins, and what the machine or the model
does not have (OpenVINO, a split UNet, a tiny VAE or decoder) is left out. Where ``partway tune`` has found what is
fastest here, that takes the options' place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from partway.budget.tuned import Measured
from partway.engines import ENGINES, EngineOptions
from partway.engines.table import FAST
from partway.errors import choose
from partway.graphs import SHALLOW, TINY, VAES
from partway.model.package import Package


class Preset(NamedTuple):
    """A named combination of options and settings.

    what      what it does, for people
    options   of `partway.load`; settings: of a run
    guess     whether the options guess at what is fastest, so that measurements replace them
    """

    what: str
    options: dict[str, Any]
    settings: dict[str, Any]
    guess: bool = True


_REUSED = {"reuse": 0.2}
_TINY = {"vae": "tiny"}
_SMALL = {"precision": "fastest", "release": True, "batch": 1}
_QUICK = {"engine": FAST, "precision": "fastest", "static": True}

PRESETS = {
    "exact": Preset("all the work, in the processor's own precision and for the picture's own size", _QUICK, {}),
    "balanced": Preset("as exact, but the UNet's outermost layers alone where that changes little", _QUICK, _REUSED),
    "fast": Preset(
        "as balanced, but more often, and with the tiny decoder", _QUICK, {"reuse": 0.3, "vae": "tiny-decoder"}
    ),
    "tiny": Preset(
        "little memory: one network, one prediction at a time, and the tiny VAE", _SMALL, _TINY, guess=False
    ),
}


def options(
    preset: str | None, given: Mapping[str, Any], measured: Sequence[Measured] = ()
) -> tuple[str, EngineOptions]:
    """An engine's name and options: those ``given`` that are not None, else the preset's, else the defaults.

    ``measured`` is what is known of the model here, of one size, the fastest first. Raises `InputError` for an unknown
    preset, and as `EngineOptions` does.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    chosen: dict[str, Any] = {}
    if preset is not None:
        own = PRESETS[choose("preset", preset, PRESETS)]
        fastest = _fastest(wanted, measured) if own.guess else None
        chosen |= own.options if fastest is None else fastest
        if fastest is None and not ENGINES[FAST].installed:
            chosen.pop("engine", None)
    chosen |= wanted
    return chosen.pop("engine", "auto"), EngineOptions(**chosen)


def _fastest(wanted: Mapping[str, Any], measured: Sequence[Measured]) -> Mapping[str, Any] | None:
    """The options of the first measured configuration that is near float32 and has what is wanted, if any."""
    where = {"device": "CPU"} if wanted.get("memory_limit") is not None else {}  # nowhere else can it be limited
    where |= {name: str(value) for name, value in wanted.items() if name in ("engine", "device", "precision")}
    for one in measured:
        own = {"device": "CPU", "precision": "fp32", **one.options}
        if one.near and all(own[name].lower() == value.lower() for name, value in where.items()):
            return one.options
    return None


def under(preset: str | None, package: Package) -> Package:
    """The package with those of the preset's settings that it can do, where the user gives none."""
    if preset is None:
        return package
    settings = {
        name: value
        for name, value in PRESETS[preset].settings.items()
        if _needed(name, value) <= package.networks.keys()
    }
    return replace(package, defaults={**package.defaults, **settings})


def _needed(setting: str, value: Any) -> set[str]:
    """The networks that a setting needs, of those that a model may lack."""
    return {SHALLOW} if setting == "reuse" else set(VAES[value]) & {*TINY}
