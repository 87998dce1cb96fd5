"""Network, guidance and prediction as one function of (x, level): what samplers call."""

import numpy as np

from partway.diffusion.levels import NoiseLevel
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.reuse import Reuse
from partway.diffusion.sampling import Array, Denoiser
from partway.model.networks import Conditioning, Networks
from partway.model.views import GUIDED
from partway.settings import Settings


def denoiser(
    networks: Networks, conditioning: Conditioning, settings: Settings, shown: Array | None = None
) -> Denoiser:
    """The estimate of the clean latents for one run; ``shown``: further channels of the network's input, (B, C, h, w).

    ``conditioning`` has a batch of B for each view of the package's kind of guidance.
    """
    package = networks.package
    prediction, guidance = PREDICTIONS[package.prediction], GUIDED[package.guidance]
    reuse = Reuse(settings.reuse, len(package.trained.sigmas))
    if shown is not None:
        shown = np.concatenate([shown if view.picture else np.zeros_like(shown) for view in guidance.seen(settings)])

    def denoise(x: Array, level: NoiseLevel, boost: float = 1.0, /) -> Array:
        views = guidance.seen_at(settings, level.sigma)
        guided = len(views) > 1
        views = views[-reuse.begin(level.timestep, len(views)) :]
        inputs = np.concatenate([x * prediction.scale(level.sigma)] * len(views))
        if shown is not None:
            inputs = np.concatenate([inputs, shown[-len(inputs) :]], axis=1)
        batch = conditioning.last(len(inputs))
        output = networks.predict(inputs, level.timestep, batch, settings.guidance_scale, reuse)
        if guided:
            output = guidance.combine(reuse.completed(np.split(output, len(views))), settings, boost)
        return prediction.denoised(x, output, level)

    return denoise
