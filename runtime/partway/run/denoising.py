"""Network, guidance and prediction as one function of (x, level): what samplers call."""

import numpy as np

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.sampling import Array, Denoiser
from partway.model.control_evaluator import ControlEvaluator
from partway.model.encoders import Conditionings
from partway.model.networks import Networks
from partway.run.evaluations import Evaluations


def denoiser(
    networks: Networks,
    conditionings: Conditionings,
    evaluations: Evaluations,
    channels: Array | None = None,
    controls: ControlEvaluator | None = None,
) -> Denoiser:
    """The estimate of the clean latents for one run.

    ``conditionings`` are for all predictions that a step needs, ``evaluations`` decides which each evaluation makes.
    ``channels`` are further ones of the network's input, (B, C, h, w), of which predictions without the picture get
    zeros. ``controls`` are ControlNets and adapters, which are told which of them count.
    """
    prediction, mode, settings = (
        PREDICTIONS[networks.package.prediction],
        evaluations.guidance_mode,
        evaluations.settings,
    )
    if channels is not None:
        each = [channels if one.picture else np.zeros_like(channels) for one in mode.needed(settings)]
        channels = np.concatenate(each)

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        wanted, made = evaluations.begin(level)
        if controls is not None:
            controls.begin(evaluations.active)
        inputs = np.concatenate([x * prediction.scale(level.sigma)] * made)
        if channels is not None:
            inputs = np.concatenate([inputs, channels[-len(inputs) :]], axis=1)
        last = conditionings.at(evaluations.step).last(len(inputs))
        output = networks.predict(inputs, level.timestep, last, settings.guidance_scale, evaluations.reuse)
        if wanted > 1:
            predictions = evaluations.reuse.completed(np.split(output, made))
            output = mode.combine(predictions, settings, boost)
        return prediction.denoised(x, output, level)

    return denoise
