"""Guidance against diffusers' guider classes."""

import numpy as np
import pytest
import torch
from diffusers.guiders import ClassifierFreeGuidance, ClassifierFreeZeroStarGuidance

from partway.diffusion.guidance import Guidance, combined


@pytest.mark.parametrize("scale", [1.5, 7.5, 20.0])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
@pytest.mark.parametrize("zero_star", [False, True])
def test_same_output_as_diffusers(scale, rescale, zero_star):
    rng = np.random.default_rng(0)
    unconditional, conditional = (rng.normal(size=(3, 4, 8, 8)).astype(np.float32) for _ in range(2))
    extra = {"zero_init_steps": 0} if zero_star else {}
    theirs = (ClassifierFreeZeroStarGuidance if zero_star else ClassifierFreeGuidance)(
        guidance_scale=scale, guidance_rescale=rescale, **extra
    )
    theirs.set_state(step=5, num_inference_steps=10, timestep=torch.tensor(500))
    expected = theirs.forward(torch.from_numpy(conditional), torch.from_numpy(unconditional)).pred.numpy()
    made = combined(unconditional, conditional, Guidance(scale, rescale, zero_star))
    # the ratio of deviations is the same with torch's divisor, one less
    np.testing.assert_allclose(made, expected, atol=2e-5 * scale)
