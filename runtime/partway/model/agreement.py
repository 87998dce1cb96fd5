"""Checks of a model that is not exported, of which nobody has said what its networks should give.

Every network runs on made-up inputs; two engines that share no code should agree on what comes out.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine
from partway.errors import PartwayError
from partway.model.doctor import Check, psnr
from partway.model.package import Package

LEAST = 60.0
"""dB between two engines, both in float32; they reach 100 and more."""

_SIDE = 16  # latents
_WORDS = 77
_STEP = 500.0
_MANY = 256.0  # pixels that SDXL is told

Arrays = Mapping[str, NDArray[Any]]


def check_agreement(package: Package, engine: Engine, other: Engine | None) -> Iterator[Check]:
    """Run every network, and on the ``other`` engine too if there is one; a network that fails is reported."""
    for network in package.networks:
        if network in package.segments:
            continue
        try:
            inputs = _made_up(package, network, engine)
            found = engine.run(network, inputs)
            engine.release(network)
            yield _compared(network, found, None if other is None else other.run(network, inputs))
        except PartwayError as problem:
            yield Check(network, False, str(problem))
        for one in (engine, other):
            if one is not None:
                one.release(network)


def _compared(network: str, found: Arrays, wanted: Arrays | None) -> Check:
    if not all(np.isfinite(array).all() for array in found.values()):
        return Check(network, False, "gives numbers that are not finite")
    if wanted is None:
        return Check(network, True, "gives finite numbers; there is no second engine to compare with")
    worst = min(psnr(array, found[name]) for name, array in wanted.items())
    return Check(network, worst >= LEAST, f"{worst:.1f} dB between two engines, at least {LEAST:g} dB expected")


def _made_up(package: Package, network: str, engine: Engine) -> dict[str, NDArray[Any]]:
    """Inputs of one small picture, the same at every call."""
    rng, inputs = np.random.default_rng(0), {}
    config = package.config("unet")
    sizes = len(package.size_conditions) and 6 - ("aesthetic_score" in package.size_conditions)
    told = int(config.get("projection_class_embeddings_input_dim") or 0)
    unknown = {"text_embeds": told - sizes * int(config.get("addition_time_embed_dim") or 0), "time_ids": sizes}
    pixels = _SIDE * (package.vae_scale_factor if network == "vae_encoder" else 1)
    for name, port in engine.signature(network).inputs.items():
        free = (1, pixels, pixels) if len(port.shape) == 4 else (1, unknown.get(name, _WORDS))
        places = [axis for axis, size in enumerate(port.shape) if size is None]
        shape = [size or 1 for size in port.shape]
        for axis, want in zip(places, free, strict=False):
            shape[axis] = want
        if "int" in port.dtype:
            inputs[name] = np.full(shape, 49407 if _WORDS in shape else 1, port.dtype)
        elif name in ("timestep", "time_ids"):
            inputs[name] = np.full(shape, _STEP if name == "timestep" else _MANY, port.dtype)
        else:
            inputs[name] = rng.standard_normal(shape).astype(port.dtype)
    return inputs
