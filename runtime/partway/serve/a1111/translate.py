"""From the fields of A1111's txt2img and img2img to a wish."""

import re
from collections.abc import Mapping
from typing import Any

from partway.diffusion import names
from partway.errors import InputError
from partway.serve import photos, values
from partway.serve.photos import Fit
from partway.serve.refusals import Refusal, invalid
from partway.serve.service import Service
from partway.serve.wishes import Wish

STRENGTH, SIDE = 0.75, 512

_FITS: Mapping[int, Fit] = {0: "stretch", 1: "crop", 2: "fill", 3: "stretch"}  # 3 is done to latents there
_KNOWN = (
    "prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "sampler_name", "sampler_index", "scheduler",
    "batch_size", "n_iter", "steps", "cfg_scale", "width", "height", "override_settings", "init_images",
    "denoising_strength", "resize_mode", "mask", "mask_blur", "mask_blur_x", "mask_blur_y", "mask_round",
    "inpaint_full_res", "inpaint_full_res_padding", "inpainting_mask_invert", "send_images", "model", "dial",
    "image_cfg_scale", "include_init_images", "alwayson_scripts", "force_task_id", "genkey", "clip_skip",
)  # fmt: skip
_HARMLESS = (  # what clients send with every request, at values that change nothing
    "sd_vae", "save_images", "do_not_save_samples", "do_not_save_grid", "script_args", "url", "auth",
    "override_settings_restore_afterwards", "s_noise", "initial_noise_multiplier", "eta",
)  # fmt: skip
_SETTINGS = (
    "sampler",
    "schedule",
    "guidance_rescale",
    "colour_match",
    "tile",
    "reuse",
    "vae",
    "deadline",
    "rng",
    "prompt_syntax",
)
_CLIP_SKIP = "CLIP_stop_at_last_layers"


def wish(fields: Mapping[str, Any], service: Service, *, picture: bool) -> Wish:
    """What a request asks for; raises `Refusal`. ``picture`` is whether it is img2img."""
    overrides = fields.get("override_settings")
    overrides = overrides if isinstance(overrides, dict) else {}
    _refuse_scripts(fields)
    ignored = [name for name in fields if name not in (*_KNOWN, *_HARMLESS, *_SETTINGS) and _says(fields[name])]
    strength = STRENGTH if service.strength is None else service.strength
    settings, unknown = _settings(fields, strength=strength if picture else None)
    if skipped := _clip_skip(fields, overrides, service):
        settings["clip_skip"] = skipped
    pictures = fields.get("init_images")
    if picture and not (isinstance(pictures, list) and pictures):
        raise invalid("init_images is missing: a list with the picture to start from", "init_images")
    masked = _mask(fields) if picture and fields.get("mask") else {}
    return Wish(
        prompt=values.text("prompt", fields.get("prompt")),
        model=_model(fields, overrides, service),
        settings=settings,
        count=_whole(fields, "batch_size", 1, 100) * _whole(fields, "n_iter", 1, 100),
        picture=photos.unpacked(pictures[0], "init_images") if picture and isinstance(pictures, list) else None,
        opaque_changes=True,
        size=_size(fields, picture=picture),
        fit=_FITS[_whole(fields, "resize_mode", 0, 3, least=0)],
        ignored=tuple(ignored + unknown),
        **masked,
    )


def checkpoint(said: Any, service: Service) -> str | None:
    """The served model that a title, with or without a hash, names; None where there is none of it."""
    plain = re.sub(r"\s*\[[0-9a-f]*\]$|\.safetensors$", "", str(said or ""))
    return plain if plain in service.models.names else None


def choose(fields: Mapping[str, Any], service: Service) -> None:
    """Keep what is chosen of the options for all requests that follow; others mean nothing here. Raises `Refusal`."""
    if model := checkpoint(fields.get("sd_model_checkpoint"), service):
        service.chosen["model"] = model
    if _CLIP_SKIP in fields:
        service.chosen["clip_skip"] = str(values.whole(_CLIP_SKIP, fields[_CLIP_SKIP], 1, 12))


def _clip_skip(fields: Mapping[str, Any], overrides: Mapping[str, Any], service: Service) -> str | None:
    """How many layers are left out, counted as there: 1 is none, and so is 0, which clients send."""
    said = (overrides.get(_CLIP_SKIP), fields.get("clip_skip"), service.chosen.get("clip_skip"))
    layers = next((values.whole("clip_skip", one, 0, 12) for one in said if one not in (None, "")), 1)
    return f"a1111:{layers}" if layers > 1 else None


def _model(fields: Mapping[str, Any], overrides: Mapping[str, Any], service: Service) -> str | None:
    """The model of one request: overridden, or as sd.cpp's clients say it, or the one that was chosen last."""
    for said in (overrides.get("sd_model_checkpoint"), fields.get("model")):
        if known := checkpoint(said, service):
            return known
    return service.chosen.get("model")


def _settings(fields: Mapping[str, Any], *, strength: float | None) -> tuple[dict[str, Any], list[str]]:
    """The run's settings, and the names among them that mean nothing here, which A1111 passes over too.

    ``strength`` is that of img2img where none is given, None for txt2img. Other settings are then the model's own.
    """
    given: dict[str, Any] = {
        "steps": fields.get("steps"),
        "guidance_scale": fields.get("cfg_scale"),
        "negative_prompt": _or(fields, "negative_prompt", ""),
        "seed": _or(fields, "seed", -1),
        "variation_seed": max(0, values.whole("subseed", _or(fields, "subseed", 0), -(2**63), 2**64 - 1)),
        "variation_strength": fields.get("subseed_strength") or None,
        "image_guidance_scale": fields.get("image_cfg_scale"),
        "prompt_syntax": "a1111",
        **{name: fields[name] for name in _SETTINGS if name in fields and name not in ("sampler", "schedule")},
    }
    if strength is not None:
        given |= {"strength": _or(fields, "denoising_strength", strength), "dial": _or(fields, "dial", "a1111")}
    unknown = []
    for name, said, check in (
        ("sampler", fields.get("sampler_name") or fields.get("sampler_index") or fields.get("sampler"), names.sampler),
        ("schedule", fields.get("scheduler") or fields.get("schedule"), names.schedule),
    ):
        if not isinstance(said, str) or said.strip().lower() in values.UNSET:
            continue
        try:
            check(said)
            given[name] = said
        except InputError:
            unknown.append(f"{name}:{said}")
    settings, _ = values.settings({name: value for name, value in given.items() if value is not None})
    return settings, unknown


def _mask(fields: Mapping[str, Any]) -> dict[str, Any]:
    across, down = (_whole(fields, f"mask_blur_{axis}", 4, 1000, least=0) for axis in "xy")
    blur = fields.get("mask_blur")
    return {
        "mask": photos.unpacked(fields["mask"], "mask"),
        "invert": values.true(fields.get("inpainting_mask_invert") or 0),
        "hard": values.true(_or(fields, "mask_round", True)),
        "only_masked": values.true(_or(fields, "inpaint_full_res", True)),
        "padding": _whole(fields, "inpaint_full_res_padding", 0, 4096, least=0),
        "mask_blur": values.whole("mask_blur", max(across, down) if blur is None else blur, 0, 1000),
    }


def _size(fields: Mapping[str, Any], *, picture: bool) -> tuple[int, int] | None:
    """The size asked for. Without one it is the picture's, and 512 squared or less for a prompt alone."""
    if fields.get("width") is None and fields.get("height") is None:
        return None
    width, height = (values.whole(name, _or(fields, name, SIDE), 8, 10**5) for name in ("width", "height"))
    return width, height


def _refuse_scripts(fields: Mapping[str, Any]) -> None:
    """Raise `Refusal` for an extension that is switched on, for the picture would not be what was asked for."""
    if fields.get("script_name"):
        raise Refusal(422, "there are no scripts here; leave script_name out", param="script_name")
    scripts = fields.get("alwayson_scripts")
    for name, script in scripts.items() if isinstance(scripts, dict) else ():
        units = script.get("args") if isinstance(script, dict) else None
        for unit in units if isinstance(units, list) else ():
            if unit is True or (isinstance(unit, dict) and unit.get("enabled", True)):
                raise Refusal(422, f"there is no {str(name)[:40]} here; switch it off", param="alwayson_scripts")


def _or(fields: Mapping[str, Any], name: str, default: Any) -> Any:
    value = fields.get(name)
    return default if value is None else value


def _whole(fields: Mapping[str, Any], name: str, default: int, most: int, *, least: int = 1) -> int:
    return values.whole(name, _or(fields, name, default), least, most)


def _says(value: Any) -> bool:
    """Whether a value asks for something: not off, empty or nothing."""
    return value not in (None, False, 0, -1, "", "None", [], {})
