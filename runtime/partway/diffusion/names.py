"""What samplers, schedules and settings are called elsewhere: diffusers' classes, A1111's labels, ComfyUI's names.

Case, spaces and punctuation do not count, and "++" means "pp": "DPM++ 2M" is dpmpp_2m without a row here. `sampler`
splits A1111's labels of sampler and schedule in one, like "DPM++ 2M Karras".
"""

from collections.abc import Iterable, Mapping
from itertools import chain

from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.samplers.named import method_of
from partway.diffusion.schedules import SCHEDULES
from partway.diffusion.written import spaced, spacing_of
from partway.errors import InputError

# A1111's labels, which results write into their pictures. A label that is no alias below is the name itself, or is
# found because case and punctuation do not count.
A1111_SAMPLERS: Mapping[str, str] = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "euler_cfg_pp": "DDIM CFG++",
    "heun": "Heun",
    "restart": "Restart",
    "ddim": "DDIM",
    "dpm2": "DPM2",
    "dpm2_a": "DPM2 a",
    "dpmpp_2s_a": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "lms": "LMS",
    "plms": "PLMS",
    "unipc": "UniPC",
    "lcm": "LCM",
}
A1111_SCHEDULES: Mapping[str, str] = {
    "linspace": "Uniform",
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "ays": "Align Your Steps",
    "simple": "Simple",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
}

SAMPLER_ALIASES: Mapping[str, tuple[str, ...]] = {
    "euler": ("EulerDiscreteScheduler", "k_euler"),
    "euler_a": ("EulerAncestralDiscreteScheduler", "euler_ancestral", "k_euler_a"),
    "euler_cfg_pp": ("ddim_cfg_pp",),
    "euler_a_cfg_pp": ("euler_ancestral_cfg_pp",),
    "heun": ("HeunDiscreteScheduler",),
    "heunpp2": ("Heun++ 2",),
    "ddim": ("DDIMScheduler",),
    "ddpm": ("DDPMScheduler",),
    "dpm2": ("KDPM2DiscreteScheduler",),
    "dpm2_a": ("KDPM2AncestralDiscreteScheduler", "dpm_2_ancestral"),
    "dpmpp_2s_a": ("dpmpp_2s_ancestral",),
    "dpmpp_sde": ("DPMSolverSDEScheduler",),
    "dpmpp_2m": ("DPMSolverMultistepScheduler",),
    "unipc": ("UniPCMultistepScheduler", "uni_pc_bh2"),
    "deis": ("DEISMultistepScheduler",),
    "lms": ("LMSDiscreteScheduler",),
    "plms": ("PNDMScheduler", "pndm"),
    "ipndm": ("IPNDMScheduler",),
    "gradient_estimation": ("euler_ge",),
    "lcm": ("LCMScheduler",),
    "tcd": ("TCDScheduler",),
}
SCHEDULE_ALIASES: Mapping[str, tuple[str, ...]] = {
    "ddim_uniform": ("DDIM",),
    "linspace": ("normal", "Uniform"),
    "karras": ("use_karras_sigmas",),
    "exponential": ("lu", "use_exponential_sigmas", "use_lu_lambdas"),
    "beta": ("use_beta_sigmas",),
    "ays": ("Align Your Steps",),
}

# Of settings, and of what else a task takes; in lower case, as keyword arguments
SETTING_ALIASES: Mapping[str, str] = {
    "num_inference_steps": "steps",
    "sampling_steps": "steps",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "image_cfg_scale": "image_guidance_scale",
    "denoise": "strength",
    "denoising_strength": "strength",
    "generator": "seed",
    "noise_seed": "seed",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
    "sampler_name": "sampler",
    "scheduler": "schedule",
    "tile_size": "tile",
    "init_image": "image",
    "mask_image": "mask",
    "padding_mask_crop": "padding",
    "inpaint_full_res": "only_masked",
    "inpaint_full_res_padding": "padding",
    "upscale_by": "scale",
}


def sampler(name: str) -> tuple[str, str | None]:
    """The sampler's name here, and the schedule's where ``name`` has one too, else None.

    A solver with options, like ``dpm_solver order=3``, stays as it is. Raises `InputError` for an unknown name, with
    the nearest known one.
    """
    found = _find(name, SAMPLERS, SAMPLER_ALIASES)
    if found:
        return found, None
    if "=" in name:
        method_of(name)
        return " ".join(name.split()), None
    plain = _plain(name)
    for cut in range(len(plain) - 1, 0, -1):
        both = _find(plain[:cut], SAMPLERS, SAMPLER_ALIASES), _find(plain[cut:], SCHEDULES, SCHEDULE_ALIASES)
        if all(both):
            return both[0] or "", both[1]
    schedules = ("", *A1111_SCHEDULES.values())
    labels = [f"{first} {second}".strip() for first in A1111_SAMPLERS.values() for second in schedules]
    raise InputError(_unknown("sampler", name, SAMPLERS, SAMPLER_ALIASES, labels))


def schedule(name: str) -> str:
    """The schedule's name here; levels like ``sigmas 14.6,3,0.5`` and text like ``leading karras`` stay as they are.

    Raises `InputError` for an unknown name, with the nearest known one, and for a list that cannot be read.
    """
    if name.startswith(("sigmas ", "timesteps ")):
        spacing_of(name)
        return name
    found = _find(name, SCHEDULES, SCHEDULE_ALIASES) or _spaced(name)
    if not found:
        raise InputError(_unknown("schedule", name, SCHEDULES, SCHEDULE_ALIASES, A1111_SCHEDULES.values()))
    return found


def _spaced(name: str) -> str | None:
    try:
        return spaced(name).__name__
    except InputError:
        return None


def _find(name: str, table: Iterable[str], aliases: Mapping[str, tuple[str, ...]]) -> str | None:
    plain = _plain(name)
    for known in table:
        if plain in (_plain(known), *map(_plain, aliases.get(known, ()))):
            return known
    return None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower().replace("++", "pp") if letter.isalnum())


def _unknown(
    what: str, name: str, table: Iterable[str], aliases: Mapping[str, tuple[str, ...]], labels: Iterable[str]
) -> str:
    from difflib import get_close_matches  # start-up can do without it

    known = sorted(table)
    near = get_close_matches(name, [*known, *labels, *chain.from_iterable(aliases.values())], 1, 0.8)
    return f"unknown {what} {name!r}; " + (f"did you mean {near[0]}?" if near else f"choose one of: {', '.join(known)}")
