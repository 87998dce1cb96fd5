"""The noise levels that a checkpoint was trained on, and what it predicts, as diffusers' scheduler configurations."""

from typing import Any, NamedTuple

import numpy as np

from partway.checkpoints.kinds import Kind
from partway.checkpoints.parts import Weights
from partway.checkpoints.safetensors import Header
from partway.checkpoints.values import read

_BIAS = "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias"
_SPREAD = 0.09
_V = "v_prediction"

_SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}


class Told(NamedTuple):
    """A prediction (diffusers' name), how that is known, and whether it is more than a guess."""

    prediction: str
    why: str
    sure: bool = True


def predicted(kind: Kind, unet: Weights, header: Header) -> Told:
    """What a model predicts; ``unet``: the UNet's weights under diffusers' names.

    Shapes do not tell. Files may carry a mark or say it in their metadata; of Stable Diffusion 2, those that predict v
    have learned larger biases in one layer than those that predict the noise, which is a guess (ComfyUI's).
    """
    if "v_pred" in header.weights:
        return Told(_V, "the file has a tensor v_pred")
    metadata = header.metadata
    said, architecture = (metadata.get(f"modelspec.{name}", "") for name in ("prediction_type", "architecture"))
    if said in ("v", _V, "epsilon"):
        return Told(_V if said != "epsilon" else said, f"its metadata say {said}")
    if architecture.endswith("-v"):
        return Told(_V, f"its metadata say {architecture}")
    if metadata.get("ss_base_model_version", "").endswith("_v"):
        return Told(_V, "its metadata say so (ss_base_model_version)")
    if not kind.second or "inpainting" in kind.title:
        return Told("epsilon", "as nearly all of its kind")
    if _BIAS not in unet:
        return Told("epsilon", "a guess, for nothing says so", sure=False)
    spread = float(np.std(read(unet[_BIAS])))
    return Told(_V if spread > _SPREAD else "epsilon", f"a guess from one layer's biases ({spread:.2f})", sure=False)


def scheduler(kind: Kind, told: Told, header: Header, *, few: bool) -> dict[str, Any]:
    """A ``scheduler_config.json`` for the model; ``few``: whether it is made for few steps without guidance."""
    config: dict[str, Any] = {**_SCHEDULER, "prediction_type": told.prediction}
    if few:
        config |= {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
    elif kind.pipeline.startswith("LatentConsistency") or "LCM" in kind.title:
        config |= {"_class_name": "LCMScheduler", "steps_offset": 0}
    elif kind.xl:
        config |= {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
    elif told.prediction == _V:
        config |= {"_class_name": "DDIMScheduler", "clip_sample": False}
    else:
        config |= {"_class_name": "PNDMScheduler", "skip_prk_steps": True}  # as published: partway has no such steps
    if "ztsnr" in header.weights or header.metadata.get("ss_zero_terminal_snr") == "True":
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return config
