"""The ``scheduler_config.json`` of four well-known models, and what diffusers writes for another class made of one."""

import json

import diffusers

_SD = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "clip_sample": False,
}
_OLD = {**_SD, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}
HUB = {
    "sd-1-5": ("PNDMScheduler", _OLD),
    "sd-2-1": ("DDIMScheduler", {**_OLD, "prediction_type": "v_prediction"}),
    "sdxl": (
        "EulerDiscreteScheduler",
        {
            **_OLD,
            "interpolation_type": "linear",
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "timestep_spacing": "leading",
            "use_karras_sigmas": False,
        },
    ),
    "lcm": (
        "LCMScheduler",
        {
            **_SD,
            "clip_sample_range": 1.0,
            "dynamic_thresholding_ratio": 0.995,
            "original_inference_steps": 50,
            "prediction_type": "epsilon",
            "rescale_betas_zero_snr": False,
            "sample_max_value": 1.0,
            "set_alpha_to_one": True,
            "steps_offset": 0,
            "thresholding": False,
            "timestep_scaling": 10.0,
            "timestep_spacing": "leading",
        },
    ),
}


def scheduler(hub, name, **flags):
    """diffusers' scheduler of a class, made from a model's config as users do it."""
    own, config = HUB[hub]
    start = getattr(diffusers, own).from_config(config)
    return getattr(diffusers, name).from_config(start.config, **flags)


def written(made):
    """The content of the file that diffusers writes for a scheduler."""
    return json.loads(made.to_json_string())
