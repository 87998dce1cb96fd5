"""What diffusers' ``scheduler_config.json`` says of a model."""

from collections.abc import Mapping
from typing import Any

from partway.diffusion import names
from partway.diffusion.levels import Trained, trained
from partway.errors import InputError

Config = Mapping[str, Any]
_SPACINGS = ("leading", "trailing", "linspace")


def levels(config: Config) -> Trained:
    """The noise levels that the model was trained on."""
    return trained(
        str(config.get("beta_schedule", "scaled_linear")),
        float(config.get("beta_start", 0.00085)),
        float(config.get("beta_end", 0.012)),
        int(config.get("num_train_timesteps", 1000)),
        betas=config.get("trained_betas"),
        zero_terminal_snr=bool(config.get("rescale_betas_zero_snr", False)),
        steps_offset=int(config.get("steps_offset", 0)),
    )


def sampler(config: Config) -> str:
    """The sampler named by diffusers' scheduler class, which the config suggests as a default."""
    try:
        return names.sampler(str(config.get("_class_name")))[0]
    except InputError:
        return "dpmpp_2m"


def schedule(config: Config) -> str:
    """The schedule whose spacing it names, as a default."""
    if config.get("_class_name") == "LCMScheduler":
        return "lcm"
    if config.get("use_karras_sigmas"):
        return "karras"
    if config.get("rescale_betas_zero_snr"):
        return "trailing"
    spacing = config.get("timestep_spacing", "leading")
    return str(spacing) if spacing in _SPACINGS else "leading"
