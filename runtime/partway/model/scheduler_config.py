"""What a model's ``scheduler_config.json`` says, as what a run needs: it is obeyed, or refused in one line.

`partway.model.schedulers` has the classes. A file also has keys of other classes, which diffusers writes there when it
makes one scheduler from another's config; like diffusers, this module ignores them.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from partway.diffusion.levels import Trained, trained
from partway.diffusion.predictions import PREDICTIONS
from partway.diffusion.samplers.named import method_of
from partway.errors import PackageError, is_integer
from partway.model.schedulers import FOREIGN, SCHEDULERS, Config, refusal


class Scheduler(NamedTuple):
    """What a `partway.model.package.Package` holds of it.

    sampler, schedule  those that make diffusers' picture, as `method_of` and `spacing_of` read them
    grid               the schedule for samplers that the user names, a row of `partway.diffusion.schedules.SCHEDULES`
    """

    prediction: str
    trained: Trained
    sampler: str
    schedule: str
    grid: str


# The values that run, of keys that have others; the first is what a message suggests
_RUN: Mapping[str, tuple[Any, ...]] = {
    "thresholding": (False, None),
    "use_flow_sigmas": (False, None),
    "use_dynamic_shifting": (False, None),
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "timestep_type": ("discrete",),
    "interpolation_type": ("linear",),
    "final_sigmas_type": ("zero", "sigma_min"),
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "deis"),
    "solver_order": (2, 1, 3),
    "solver_type": ("midpoint", "heun", "bh2", "bh1", "logrho"),
    "lambda_min_clipped": (-inf, None),
    "variance_type": (None, "fixed_small", "fixed_small_log"),
    "predict_x0": (True,),
    "disable_corrector": ([], None),
    "solver_p": (None,),
    "original_inference_steps": (50,),
    "timestep_scaling": (10.0,),
}


def corrected(given: Config, family: str) -> Config:
    """The content as diffusers' pipelines of a family correct it: Stable Diffusion 1 and 2 shift timesteps by 1.

    Of these all but the inpainting one never clip either.
    """
    if family.startswith("StableDiffusionInpaint"):
        return {**given, "steps_offset": 1}
    if family.startswith(("StableDiffusionPipeline", "StableDiffusionImg2Img")):
        return {**given, "steps_offset": 1, "clip_sample": False}
    return given


def read(given: Config, class_name: str) -> Scheduler:
    """What a file's content means for a class of diffusers; raises `PackageError` for what partway does not run."""
    if class_name not in SCHEDULERS:
        why = FOREIGN.get(class_name, "is no scheduler that partway knows")
        raise PackageError(f"names {class_name}, which {why}; models/README.md has the classes that run")
    row = SCHEDULERS[class_name]
    config = {key: given.get(key, value) for key, value in row.own.items()}
    for key, known in _RUN.items():
        if key in config and config[key] not in known:
            raise refusal(key, config[key], known[0])
    prediction = str(config["prediction_type"])
    if prediction not in PREDICTIONS:
        raise PackageError(f"predicts {prediction!r}; known predictions: {', '.join(PREDICTIONS)}")
    sampler = row.sampler(config)
    method_of(sampler)
    offset = given.get("steps_offset") or 0
    if not is_integer(offset, 0, 1000):
        raise PackageError(f"has steps_offset {offset!r}, which is a whole number from 0 on")
    levels = trained(
        str(config["beta_schedule"]),
        float(config["beta_start"]),
        float(config["beta_end"]),
        int(config["num_train_timesteps"]),
        betas=config["trained_betas"],
        zero_terminal_snr=bool(config.get("rescale_betas_zero_snr")),
        steps_offset=int(offset),
    )
    spacing = str(given.get("timestep_spacing", row.own.get("timestep_spacing", "linspace")))
    return Scheduler(prediction, levels, sampler, row.schedule(config).__name__, _grid(given, class_name, spacing))


def _grid(given: Config, class_name: str, spacing: str) -> str:
    if class_name == "LCMScheduler":
        return "lcm"
    if given.get("use_karras_sigmas"):
        return "karras"
    if given.get("rescale_betas_zero_snr"):
        return "trailing"
    return spacing if spacing in _RUN["timestep_spacing"] else "leading"
