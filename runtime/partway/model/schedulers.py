"""The scheduler classes of diffusers 0.39: what each makes of its settings, or why it does not run.

`SCHEDULERS` has a row for each class that runs, with the class's own values for keys that a file leaves out; `FOREIGN`
has the others. `partway.model.scheduler_config` reads files by them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from partway.diffusion.written import Spaced
from partway.errors import PackageError

Config = Mapping[str, Any]


def refusal(key: str, value: Any, instead: Any) -> PackageError:
    """The error for a setting that partway does not run, with one that it does."""
    return PackageError(f"says {key} {json.dumps(value)}, which partway does not run; set it to {json.dumps(instead)}")


# -- samplers


def _always(name: str) -> Callable[[Config], str]:
    """The sampler, with clipped estimates where the config says so."""
    return lambda config: name + (f" clip={float(config['clip_sample_range'])}" if config.get("clip_sample") else "")


def _dpm(config: Config) -> str:
    sde = config["algorithm_type"] == "sde-dpmsolver++"
    if config["solver_order"] == 1:
        return "euler_a" if sde else "euler"
    heun = config["solver_type"] == "heun"
    final = "-".join(word for word, key in (("short", "lower_order_final"), ("euler", "euler_at_final")) if config[key])
    if config["solver_order"] == 2 and not heun and config["final_sigmas_type"] == "zero":
        return "dpmpp_2m_sde" if sde else "dpmpp_2m"
    return (
        f"dpm_solver eta={float(sde)} order={config['solver_order']} kind={'heun' if heun else 'midpoint'} "
        f"final={final or 'never'}"
    )


def _singlestep(config: Config) -> str:
    sde = config["algorithm_type"] == "sde-dpmsolver++"
    if config["solver_order"] == 1:
        return "euler_a" if sde else "euler"
    if config["solver_order"] == 3:
        raise refusal("solver_order", 3, 2)
    kind = "heun" if config["solver_type"] == "heun" else "midpoint"
    always = config["lower_order_final"] or config["final_sigmas_type"] == "zero"
    return f"dpm_singlestep eta={float(sde)} kind={kind} final={'always' if always else 'never'}"


def _unipc(config: Config) -> str:
    kind = "bh1" if config["solver_type"] == "bh1" else "bh2"
    usual = config["solver_order"] == 2 and kind == "bh2" and config["lower_order_final"]
    if usual and config["final_sigmas_type"] == "zero":
        return "unipc"
    final = "always" if config["lower_order_final"] else "never"
    return f"unipc order={config['solver_order']} kind={kind} final={final}"


def _deis(config: Config) -> str:
    return f"deis order={config['solver_order']} final={'short' if config['lower_order_final'] else 'never'}"


# -- schedules


def _spread(config: Config) -> str:
    """How sigmas are spread; raises `PackageError` where the config has several ways at once."""
    keys = {"use_karras_sigmas": "karras", "use_exponential_sigmas": "exponential", "use_beta_sigmas": "beta"}
    chosen = [key for key in keys if config.get(key)]
    if len(chosen) > 1:
        raise PackageError(f"says {' and '.join(chosen)}, of which only one can be; set the others to false")
    for key in ("sigma_min", "sigma_max"):
        if chosen and config.get(key) is not None:
            raise refusal(key, config[key], None)
    return keys[chosen[0]] if chosen else ""


def _ended(config: Config) -> bool:
    return config.get("final_sigmas_type") == "sigma_min"


def _plain(config: Config) -> Spaced:
    """Of k-diffusion's samplers: sigmas are spread between the ends of the spaced grid."""
    return Spaced(config["timestep_spacing"], _spread(config), ended=_ended(config))


def _rounding(config: Config) -> Spaced:
    """As `_plain`, but timesteps of Karras' sigmas are whole."""
    spread = _spread(config)
    return Spaced(config["timestep_spacing"], spread, "rounded" if spread == "karras" else "")


def _whole(config: Config) -> Spaced:
    """Of DDIM and its like: whole timesteps; it ends on the cleanest trained level unless alpha is set to 1."""
    spacing = config["timestep_spacing"]
    whole = "rounded" if spacing == "linspace" else ""
    return Spaced(spacing, whole=whole, ended=not config.get("set_alpha_to_one", True))


def _counted(config: Config) -> Spaced:
    """Of DPM-Solver and its like: a grid of one level more, or sigmas spread over all trained levels."""
    spread, rounded = _spread(config), bool(config["use_karras_sigmas"])
    if config.get("use_lu_lambdas") and spread != "karras":
        spread, rounded = "exponential", True
    if not spread:
        spacing = config.get("timestep_spacing", "linspace")
        return Spaced(spacing if spacing == "trailing" else f"{spacing}_dpm", ended=_ended(config))
    if "use_lu_lambdas" in config and config["beta_schedule"] == "squaredcos_cap_v2":
        rounded = False
    return Spaced("", spread, "rounded" if rounded else "floored", _ended(config))


def _deis_counted(config: Config) -> Spaced:
    """As `_counted`, but it never ends on sigma 0."""
    return _counted({**config, "final_sigmas_type": "sigma_min"})


def _distilled(config: Config) -> Spaced:
    return Spaced("lcm")


def _distilled_ended(config: Config) -> Spaced:
    return Spaced("lcm", ended=True)


# -- the table


@dataclass(frozen=True)
class Row:
    """A scheduler class of diffusers.

    sampler   config -> the sampler
    own       the class's values for the keys that it takes and a file leaves out
    schedule  config -> the schedule
    """

    sampler: Callable[[Config], str]
    own: Config
    schedule: Callable[[Config], Spaced] = _plain


_LEVELS = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "timestep_spacing": "linspace",
    "steps_offset": 0,
}
_LATENT = {"beta_start": 0.00085, "beta_end": 0.012}
_SPREADS = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_ZERO_SNR = {"rescale_betas_zero_snr": False}
_CLIP = {"clip_sample_range": 1.0, "thresholding": False}
_SIGMAS = {"sigma_min": None, "sigma_max": None}
_FLOW = {"use_flow_sigmas": False, "use_dynamic_shifting": False}
_KARRAS = {**_LEVELS, **_SPREADS}  # what k-diffusion's samplers have in common
_DDIM = {**_LEVELS, **_CLIP, **_ZERO_SNR, "clip_sample": True, "set_alpha_to_one": True, "timestep_spacing": "leading"}
_DDPM = {**_LEVELS, **_CLIP, **_ZERO_SNR, "clip_sample": True, "variance_type": "fixed_small"} | {
    "timestep_spacing": "leading"
}
_LCM = {**_DDIM, **_LATENT, "beta_schedule": "scaled_linear", "clip_sample": False} | {
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
}
_SOLVER = {**_KARRAS, **_FLOW, "thresholding": False, "solver_order": 2, "lower_order_final": True}
_DPM = {**_SOLVER, "algorithm_type": "dpmsolver++", "solver_type": "midpoint", "final_sigmas_type": "zero"} | {
    "lambda_min_clipped": -inf,
    "variance_type": None,
}

SCHEDULERS: Mapping[str, Row] = {
    "EulerDiscreteScheduler": Row(
        _always("euler"),
        {**_KARRAS, **_SIGMAS, **_ZERO_SNR, "final_sigmas_type": "zero"}
        | {"interpolation_type": "linear", "timestep_type": "discrete"},
    ),
    "EulerAncestralDiscreteScheduler": Row(_always("euler_a"), {**_LEVELS, **_ZERO_SNR}),
    "HeunDiscreteScheduler": Row(
        _always("heun"), {**_KARRAS, **_LATENT, "clip_sample": False, "clip_sample_range": 1.0}
    ),
    "KDPM2DiscreteScheduler": Row(_always("dpm2"), {**_KARRAS, **_LATENT}, _rounding),
    "KDPM2AncestralDiscreteScheduler": Row(_always("dpm2_a"), {**_KARRAS, **_LATENT}, _rounding),
    "LMSDiscreteScheduler": Row(_always("lms"), _KARRAS),
    "DPMSolverSDEScheduler": Row(_always("dpmpp_sde"), {**_KARRAS, **_LATENT}),
    "DDIMScheduler": Row(_always("ddim"), _DDIM, _whole),
    "DDIMParallelScheduler": Row(_always("ddim"), _DDIM, _whole),
    "DDPMScheduler": Row(_always("ddpm"), _DDPM, _whole),
    "DDPMParallelScheduler": Row(_always("ddpm"), _DDPM, _whole),
    "PNDMScheduler": Row(
        _always("plms"), {**_LEVELS, "set_alpha_to_one": False, "timestep_spacing": "leading"}, _whole
    ),
    "DPMSolverMultistepScheduler": Row(
        _dpm, {**_DPM, **_ZERO_SNR, "euler_at_final": False, "use_lu_lambdas": False}, _counted
    ),
    "DPMSolverSinglestepScheduler": Row(
        _singlestep,
        {key: value for key, value in _DPM.items() if key not in ("timestep_spacing", "steps_offset")}
        | {"lower_order_final": False},
        _counted,
    ),
    "UniPCMultistepScheduler": Row(
        _unipc,
        {**_SOLVER, **_ZERO_SNR, **_SIGMAS, "solver_type": "bh2", "final_sigmas_type": "zero"}
        | {"predict_x0": True, "disable_corrector": [], "solver_p": None},
        _counted,
    ),
    "DEISMultistepScheduler": Row(_deis, _SOLVER, _deis_counted),
    "LCMScheduler": Row(_always("lcm"), _LCM, _distilled),
    # diffusers' pipelines give it no noise of its own
    "TCDScheduler": Row(lambda config: "tcd eta=0.0", _LCM, _distilled_ended),
}

_EDM = "has noise levels of its own and scales what networks take (Karras et al. 2022), which partway does not run"
_FLOW_MATCHING = "is for flow-matching models, which partway does not run"
_DISCRETE = "is for models of tokens, not of pictures"
_INVERSE = "turns pictures into noise"
_FLAX = "is for Flax; diffusers' class of the name without Flax may run"
_OTHER = "is for another kind of model"

FOREIGN: Mapping[str, str] = {
    "AmusedScheduler": _DISCRETE,
    "BlockRefinementScheduler": _DISCRETE,
    "CMStochasticIterativeScheduler": "is for consistency models, which partway does not run",
    "CogVideoXDDIMScheduler": _OTHER,
    "CogVideoXDPMScheduler": _OTHER,
    "CosineDPMSolverMultistepScheduler": _EDM,
    "DDIMInverseScheduler": _INVERSE,
    "DDPMWuerstchenScheduler": _OTHER,
    "DPMSolverMultistepInverseScheduler": _INVERSE,
    "DiscreteDDIMScheduler": _DISCRETE,
    "EDMDPMSolverMultistepScheduler": _EDM,
    "EDMEulerScheduler": _EDM,
    "EntropyBoundScheduler": _DISCRETE,
    "FlaxDDIMScheduler": _FLAX,
    "FlaxDDPMScheduler": _FLAX,
    "FlaxDPMSolverMultistepScheduler": _FLAX,
    "FlaxEulerDiscreteScheduler": _FLAX,
    "FlaxKarrasVeScheduler": _FLAX,
    "FlaxLMSDiscreteScheduler": _FLAX,
    "FlaxPNDMScheduler": _FLAX,
    "FlaxScoreSdeVeScheduler": _FLAX,
    "FlowMapEulerDiscreteScheduler": _FLOW_MATCHING,
    "FlowMatchEulerDiscreteScheduler": _FLOW_MATCHING,
    "FlowMatchHeunDiscreteScheduler": _FLOW_MATCHING,
    "FlowMatchLCMScheduler": _FLOW_MATCHING,
    "HeliosDMDScheduler": _FLOW_MATCHING,
    "HeliosScheduler": _FLOW_MATCHING,
    "IPNDMScheduler": "has noise levels of its own, not those that the model was trained on",
    "KarrasVeScheduler": _EDM,
    "LTXEulerAncestralRFScheduler": _FLOW_MATCHING,
    "RePaintScheduler": "is for inpainting by repetition (RePaint), which partway does not run",
    "SASolverScheduler": "has a solver that partway does not have",
    "SCMScheduler": _OTHER,
    "ScoreSdeVeScheduler": _OTHER,
    "UnCLIPScheduler": _OTHER,
    "VQDiffusionScheduler": _DISCRETE,
}
