"""Samplers by what plans and records call them: a name of `SAMPLERS`, or a solver with options of its own."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

from partway.diffusion.samplers import SAMPLERS, Method, solvers
from partway.diffusion.samplers.singlestep import euler
from partway.errors import InputError, number

# What a model's ``scheduler_config.json`` chooses where it is not one of `SAMPLERS`
SOLVERS: dict[str, Method] = {
    "ddim": Method(solvers.ddim, 1, eta=0.0),
    "ddpm": Method(partial(euler, eta=1.0), 1, stochastic=True),
    "heun": SAMPLERS["heun"],
    "lcm": SAMPLERS["lcm"],
    "tcd": SAMPLERS["tcd"],
    "dpm_solver": Method(solvers.dpm_solver, 1, eta=0.0),
    "dpm_singlestep": Method(solvers.dpm_singlestep, 1, eta=0.0),
    "deis": SAMPLERS["deis"],
    "unipc": Method(solvers.unipc, 1),
}

_RANGES = {"clip": (1e-6, 1e6), "eta": (0.0, 1.0), "order": (1, 3)}
_WORDS = {
    "kind": ("midpoint", "heun", "bh1", "bh2"),
    "final": ("never", "short", "euler", "short-euler", "always"),
}


def method_of(name: str) -> Method:
    """The method of a name in `SAMPLERS`, or of text like ``dpm_solver order=3 kind=heun`` for one of `SOLVERS`.

    Raises `InputError` for anything else.
    """
    head, *words = name.split() or [""]
    if not words and head in SAMPLERS:
        return SAMPLERS[head]
    if not words or head not in SOLVERS:
        raise InputError(f"unknown sampler {name!r}; see: partway samplers")
    method = SOLVERS[head]
    options = dict(_option(word) for word in words)
    clip, eta = options.pop("clip", None), options.get("eta", method.eta)
    step: Callable[..., Any] = method.step
    if clip is not None:
        step = partial(step, clip=clip) if "clip" in signature(step).parameters else solvers.clipped(step, clip)
    if not options.keys() <= signature(step).parameters.keys():
        raise InputError(f"{name!r} is no sampler: {head} has no such option")
    step = partial(step, **options)
    return method._replace(step=step, eta=eta, stochastic=method.stochastic if eta is None else eta > 0)


def _option(word: str) -> tuple[str, Any]:
    """The key and value of a word like ``order=3``."""
    key, _, value = word.partition("=")
    if value in _WORDS.get(key, ()):
        return key, value
    try:
        low, high = _RANGES[key]
        return key, int(number(key, int(value), low, high)) if key == "order" else number(key, float(value), low, high)
    except (KeyError, ValueError):
        raise InputError(f"{word!r} is no option of a sampler") from None
