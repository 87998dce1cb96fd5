"""What torch says: every network's outputs on small fixed inputs, yardstick of the export and goldens."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.guidance import embedding
from partway_export.load import Traceable

Arrays = dict[str, NDArray[Any]]


class Reference(NamedTuple):
    """Inputs of one network, and the outputs that torch computes from them."""

    inputs: Arrays
    outputs: Arrays


def references(networks: Mapping[str, Traceable], order: tuple[str, ...]) -> dict[str, Reference]:
    """Run every network once in torch and return its inputs and outputs.

    The networks feed each other as in a pipeline (text to UNet, picture to VAE), so that activations have the
    sizes they have in use; ``order`` says which comes first. Inputs are seeded, of batch 1, not square (to
    catch swapped axes), with a fractional timestep (to catch rounding).
    """
    import torch

    made: dict[str, Reference] = {}
    for name in order:
        module, config = networks[name]
        inputs = INPUTS[name](module.config, made)
        if config.inputs.get("timestep") == {}:  # traced as a scalar, not as one number per picture
            inputs["timestep"] = inputs["timestep"].reshape(())
        with torch.no_grad():
            result = module(**{key: torch.from_numpy(np.array(value)) for key, value in inputs.items()})
        values = [value for value in result.values() if isinstance(value, torch.Tensor)]
        names = [key for key in config.outputs if not key.startswith("hidden_states")]
        made[name] = Reference(inputs, {key: value.numpy() for key, value in zip(names, values, strict=True)})
    return made


def _text(config: Any, made: Mapping[str, Reference]) -> Arrays:
    rng = np.random.default_rng(1)
    ids = np.full((1, config.max_position_embeddings), config.eos_token_id, np.int64)
    words = rng.integers(0, config.vocab_size - 2, 12)  # the last two are the start and the end of the text
    ids[0, 0], ids[0, 1:13] = config.bos_token_id, words
    return {"input_ids": ids}


def _picture(config: Any, made: Mapping[str, Reference]) -> Arrays:
    coarse = np.random.default_rng(2).random((1, 3, 8, 12)).astype(np.float32)
    picture = coarse.repeat(8, axis=2).repeat(8, axis=3)
    grain = np.random.default_rng(3).normal(0, 0.02, picture.shape)
    return {"sample": np.clip(2 * picture - 1 + grain, -1, 1).astype(np.float32)}


def _noisy_latents(config: Any, made: Mapping[str, Reference]) -> Arrays:
    rng = np.random.default_rng(4)
    told = {"timestep_cond": embedding(7.5, config.time_cond_proj_dim)} if config.time_cond_proj_dim else {}
    return told | {
        "sample": rng.normal(size=(1, config.in_channels, 16, 24)).astype(np.float32),
        "timestep": np.array([321.5], np.float32),
        "encoder_hidden_states": made["text_encoder"].outputs["last_hidden_state"],
    }


def _latents(config: Any, made: Mapping[str, Reference]) -> Arrays:
    return {"latent_sample": made["vae_encoder"].outputs["latent_parameters"][:, : config.latent_channels]}


INPUTS: dict[str, Callable[[Any, Mapping[str, Reference]], Arrays]] = {
    "text_encoder": _text,
    "vae_encoder": _picture,
    "unet": _noisy_latents,
    "vae_decoder": _latents,
}
