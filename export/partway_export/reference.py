"""What torch says: every network's outputs on small fixed inputs, yardstick of the export and goldens."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import embedding
from partway_export.load import Traceable

Arrays = dict[str, NDArray[Any]]
HIDDEN = "hidden_states"  # optimum's name of a text encoder's layers, with ".0" and so on behind it


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
            result = module(**_arguments({key: torch.from_numpy(np.array(value)) for key, value in inputs.items()}))
        values = [value for value in result.values() if isinstance(value, torch.Tensor)]
        names = [key for key in config.outputs if not key.startswith(HIDDEN)]
        outputs = dict(zip(names, values, strict=True))
        if "hidden_states" in result:
            last = len(result["hidden_states"]) - 1
            outputs[f"{HIDDEN}.{last - 1}"] = result["hidden_states"][-2]  # which SDXL's UNet takes
        made[name] = Reference(inputs, {key: value.numpy() for key, value in outputs.items()})
    return made


def _arguments(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a graph as arguments of its torch module: SDXL's UNet takes two of them in a dictionary."""
    added = {key: inputs.pop(key) for key in ("text_embeds", "time_ids") if key in inputs}
    return inputs | ({"added_cond_kwargs": added} if added else {})


def _text(config: Any, made: Mapping[str, Reference]) -> Arrays:
    rng = np.random.default_rng(1)
    ids = np.full((1, config.max_position_embeddings), config.eos_token_id, np.int64)
    words = rng.integers(0, config.vocab_size - 2, 12)  # the last two are the start and the end of the text
    ids[0, 0], ids[0, 1:13] = config.bos_token_id, words
    return {"input_ids": ids}


def _picture(config: Any, made: Mapping[str, Reference]) -> Arrays:
    return {"sample": picture()}


def picture() -> NDArray[np.float32]:
    """A picture of coloured blocks and a little grain, (1, 3, 64, 96) in [-1, 1]."""
    coarse = np.random.default_rng(2).random((1, 3, 8, 12)).astype(np.float32)
    blocks = coarse.repeat(8, axis=2).repeat(8, axis=3)
    grain = np.random.default_rng(3).normal(0, 0.02, blocks.shape)
    return np.clip(2 * blocks - 1 + grain, -1, 1).astype(np.float32)


def _noisy_latents(config: Any, made: Mapping[str, Reference]) -> Arrays:
    rng = np.random.default_rng(4)
    texts = [made[name].outputs for name in ("text_encoder", "text_encoder_2") if name in made]
    inputs = {
        "sample": rng.normal(size=(1, config.in_channels, 16, 24)).astype(np.float32),
        "timestep": np.array([321.5], np.float32),
        "encoder_hidden_states": texts[0]["last_hidden_state"],
    }
    if config.time_cond_proj_dim:
        inputs["timestep_cond"] = embedding(7.5, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        inputs["encoder_hidden_states"] = np.concatenate([_penultimate(text) for text in texts], axis=-1)
        pooled = inputs["text_embeds"] = texts[-1]["text_embeds"]
        embedded = config.projection_class_embeddings_input_dim - pooled.shape[-1]
        # the last are an aesthetic score, or the target size
        tail = [6.0] if embedded // config.addition_time_embed_dim == 5 else [128.0, 192.0]
        inputs["time_ids"] = np.array([[150.0, 200.0, 8.0, 4.0, *tail]], np.float32)
    return inputs


def _penultimate(text: Arrays) -> NDArray[Any]:
    return next(array for name, array in text.items() if name.startswith(HIDDEN))


def _latents(config: Any, made: Mapping[str, Reference]) -> Arrays:
    return {"latent_sample": made["vae_encoder"].outputs["latent_parameters"][:, : config.latent_channels]}


INPUTS: dict[str, Callable[[Any, Mapping[str, Reference]], Arrays]] = {
    "text_encoder": _text,
    "text_encoder_2": _text,
    "vae_encoder": _picture,
    "unet": _noisy_latents,
    "vae_decoder": _latents,
}
