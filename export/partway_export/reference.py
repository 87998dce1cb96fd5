"""What the model itself says: every network's outputs on small fixed inputs, yardstick of the export and goldens.

The networks are run as they are built over the source's own weights, in float32.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import embedding
from partway.engines import Engine, EngineOptions, open_engine
from partway.engines.streamed import Streamed
from partway.graphs import TINY_DECODER, TINY_ENCODER
from partway.model.package import Package

Arrays = dict[str, NDArray[Any]]
HIDDEN = "hidden_states"  # optimum's name of a text encoder's layers, with ".0" and so on behind it
TRUTH = "the source in float32"

ORDER = ("text_encoder", "text_encoder_2", "vae_encoder", "unet", "vae_decoder", TINY_ENCODER, TINY_DECODER)
"""The networks, in the order in which their outputs feed each other."""


class Reference(NamedTuple):
    """Inputs of one network, and the outputs that are right."""

    inputs: Arrays
    outputs: Arrays


def references(package: Package) -> dict[str, Reference]:
    """Run every network of a model that is not exported once, and return its inputs and outputs.

    The networks feed each other as in a pipeline (text to UNet, picture to VAE), so that activations have the
    sizes they have in use. Inputs are seeded, of batch 1, not square (to catch swapped axes), with a fractional
    timestep (to catch rounding).
    """
    engine = open_engine("onnxruntime", package.networks, EngineOptions(stream=True))
    made: dict[str, Reference] = {}
    for name in ORDER:
        if name in package.networks:
            runner = Streamed(engine, package.segments) if name == "unet" else engine
            made[name] = _reference(runner, name, INPUTS[name](package, made))
            engine.release(name)
    return made


def _reference(engine: Engine, name: str, inputs: Arrays) -> Reference:
    outputs = engine.run(name, inputs)
    states = [key for key in outputs if key.startswith(HIDDEN)]
    kept = [key for key in outputs if key not in states and key in _KEPT] + states[-2:-1]  # which SDXL's UNet takes
    return Reference(inputs, {key: outputs[key] for key in kept})


_KEPT = ("last_hidden_state", "text_embeds", "pooler_output", "latent_parameters", "latents", "out_sample", "sample")


def _text(package: Package, name: str) -> Arrays:
    assert package.checkpoint is not None
    part, rng = package.checkpoint.parts[name], np.random.default_rng(1)
    (words, _), (length, _) = (
        part.weights[f"text_model.embeddings.{table}_embedding.weight"].shape for table in ("token", "position")
    )
    ids = np.full((1, length), words - 1, np.int64)  # the end of the text; the last but one is its start
    ids[0, 0], ids[0, 1:13] = words - 2, rng.integers(0, words - 2, 12)
    return {"input_ids": ids}


def picture() -> NDArray[np.float32]:
    """A picture of coloured blocks and a little grain, (1, 3, 64, 96) in [-1, 1]."""
    coarse = np.random.default_rng(2).random((1, 3, 8, 12)).astype(np.float32)
    blocks = coarse.repeat(8, axis=2).repeat(8, axis=3)
    grain = np.random.default_rng(3).normal(0, 0.02, blocks.shape)
    return np.clip(2 * blocks - 1 + grain, -1, 1).astype(np.float32)


def _noisy_latents(package: Package, made: Mapping[str, Reference]) -> Arrays:
    config, rng = package.config("unet"), np.random.default_rng(4)
    texts = [made[name].outputs for name in package.text_encoders]
    inputs = {
        "sample": rng.normal(size=(1, config["in_channels"], 16, 24)).astype(np.float32),
        "timestep": np.array([321.5], np.float32),
        "encoder_hidden_states": texts[0]["last_hidden_state"],
    }
    if package.guidance_width:
        inputs["timestep_cond"] = embedding(7.5, package.guidance_width)
    if package.size_conditions:
        inputs["encoder_hidden_states"] = np.concatenate([_penultimate(text) for text in texts], axis=-1)
        inputs["text_embeds"] = texts[-1]["text_embeds"]
        # the last are an aesthetic score, or the target size
        tail = [6.0] if "aesthetic_score" in package.size_conditions else [128.0, 192.0]
        inputs["time_ids"] = np.array([[150.0, 200.0, 8.0, 4.0, *tail]], np.float32)
    return inputs


def _penultimate(text: Arrays) -> NDArray[Any]:
    return next(array for name, array in text.items() if name.startswith(HIDDEN))


def _latents(package: Package, made: Mapping[str, Reference]) -> Arrays:
    return {"latent_sample": made["vae_encoder"].outputs["latent_parameters"][:, : package.latent_channels]}


INPUTS: dict[str, Callable[[Package, Mapping[str, Reference]], Arrays]] = {
    "text_encoder": lambda package, made: _text(package, "text_encoder"),
    "text_encoder_2": lambda package, made: _text(package, "text_encoder_2"),
    "vae_encoder": lambda package, made: {"sample": picture()},
    "unet": _noisy_latents,
    "vae_decoder": _latents,
    TINY_ENCODER: lambda package, made: {"sample": picture()},
    TINY_DECODER: lambda package, made: {"latent_sample": made[TINY_ENCODER].outputs["latents"]},
}
