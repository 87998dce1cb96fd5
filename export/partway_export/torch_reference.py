"""What torch says: diffusers' and transformers' own classes over the same weights, as proof of what is built here."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partway.checkpoints.record import Part
from partway.checkpoints.text_names import PROJECTION
from partway.checkpoints.values import read
from partway.errors import NetworkError, PackageError
from partway.model.package import Package
from partway_export.reference import HIDDEN, Reference
from partway_export.verify import GATES, psnr


def compared(package: Package, made: Mapping[str, Reference]) -> dict[str, tuple[Reference, float]]:
    """torch's outputs for the inputs of each network that diffusers or transformers have, and how near they are in dB.

    Raises `NetworkError` where what is built here is not near enough, and ImportError without torch.
    """
    import torch

    found: dict[str, tuple[Reference, float]] = {}
    modules: dict[str, Any] = {}
    for name, reference in made.items():
        if (part := _part(package, name)) is None:
            continue
        kind = "vae" if name.startswith("vae") else name
        if kind not in modules:
            modules = {kind: _module(kind, part)}  # the one before is not needed again
        given = {key: torch.from_numpy(np.array(value)) for key, value in reference.inputs.items()}
        with torch.no_grad():
            outputs = _run(name, modules[kind], given)
        right = {key: outputs[key] for key in reference.outputs}
        figure = min(psnr(right[key], value) for key, value in reference.outputs.items())
        if figure < GATES["fp32"]:
            raise NetworkError(f"{name} differs from torch's: {figure:.1f} dB, and {GATES['fp32']:g} dB is needed")
        found[name] = Reference(reference.inputs, right), figure
    return found


def _part(package: Package, name: str) -> Part | None:
    assert package.checkpoint is not None
    return package.checkpoint.parts.get("vae" if name.startswith("vae") else name)


def _module(kind: str, part: Part) -> Any:
    """A module of diffusers or transformers with a network's weights in float32."""
    import diffusers
    import torch
    import transformers

    config = dict(part.config)
    with torch.no_grad():
        if kind.startswith("text_encoder"):
            projects = PROJECTION in part.weights or f"{PROJECTION}.weight" in part.weights
            cls = transformers.CLIPTextModelWithProjection if projects else transformers.CLIPTextModel
            module = cls(transformers.CLIPTextConfig.from_dict(config))
        else:
            cls = diffusers.AutoencoderKL if kind == "vae" else diffusers.UNet2DConditionModel
            module = cls.from_config(config)
        for name, tensor in module.state_dict().items():
            if not name.endswith("position_ids"):
                tensor.copy_(torch.from_numpy(_values(part, name).reshape(tensor.shape)))
    return module.eval()


def _values(part: Part, name: str) -> NDArray[np.float32]:
    if name in part.weights:
        return read(part.weights[name])
    if name == f"{PROJECTION}.weight" and PROJECTION in part.weights:
        return np.ascontiguousarray(read(part.weights[PROJECTION]).T)
    raise PackageError(f"torch's network has weights {name}, which this model lacks")


def _run(name: str, module: Any, inputs: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """The module's outputs by the names that networks have for them."""
    if name == "vae_encoder":
        return {"latent_parameters": module.encode(inputs["sample"]).latent_dist.parameters.numpy()}
    if name == "vae_decoder":
        return {"sample": module.decode(inputs["latent_sample"]).sample.numpy()}
    if name == "unet":  # which takes two of them in a dictionary
        added = {key: inputs.pop(key) for key in ("text_embeds", "time_ids") if key in inputs}
        return {"out_sample": module(**inputs, added_cond_kwargs=added or None).sample.numpy()}
    result = module(**inputs, output_hidden_states=True)
    states = {f"{HIDDEN}.{index}": state for index, state in enumerate(result.hidden_states)}
    named = {key: value for key, value in result.items() if isinstance(value, type(result.last_hidden_state))}
    return {key: value.numpy() for key, value in (named | states).items()}
