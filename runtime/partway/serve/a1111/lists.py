"""What there is, in A1111's words: models, samplers, schedules, upscalers, and lists that are empty here."""

from collections.abc import Callable
from typing import Any

from PIL import Image

from partway.diffusion.names import A1111_SAMPLERS, A1111_SCHEDULES, SAMPLER_ALIASES, SCHEDULE_ALIASES
from partway.diffusion.samplers import SAMPLERS
from partway.diffusion.schedules import SCHEDULES
from partway.serve.service import Service

UPSCALERS = {
    "None": Image.Resampling.LANCZOS,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
    "Bicubic": Image.Resampling.BICUBIC,
}
"""By A1111's names; any other stands for the second."""

EMPTY = (
    "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "extensions", "script-info", "sd-modules",
    "sd-vae",
)  # fmt: skip
"""Lists of which there is nothing here."""


def models(service: Service) -> list[dict[str, Any]]:
    """Every model that is served; its file is nobody's business."""
    return [
        {"title": name, "model_name": name, "hash": None, "sha256": None, "filename": name, "config": None}
        for name in service.models.names
    ]


def samplers() -> list[dict[str, Any]]:
    """Every sampler by A1111's label, where it has one."""
    return [
        {"name": A1111_SAMPLERS.get(name, name), "aliases": [name, *SAMPLER_ALIASES.get(name, ())], "options": {}}
        for name in SAMPLERS
    ]


def schedules() -> list[dict[str, Any]]:
    """Every schedule, after the model's own, which A1111 calls automatic."""
    automatic: dict[str, Any] = {"name": "automatic", "label": "Automatic", "aliases": None}
    known: list[dict[str, Any]] = [
        {"name": name, "label": A1111_SCHEDULES.get(name, name), "aliases": list(SCHEDULE_ALIASES.get(name, ()))}
        for name in SCHEDULES
    ]
    return [{**one, "default_rho": -1, "need_inner_model": False} for one in (automatic, *known)]


def upscalers() -> list[dict[str, Any]]:
    """What `extra-single-image` enlarges with."""
    none: dict[str, Any] = {"model_name": None, "model_path": None, "model_url": None, "scale": 4}
    return [{"name": name, **none} for name in UPSCALERS]


def loras(service: Service) -> list[dict[str, Any]]:
    """Every adapter that a prompt may name; where it lies is nobody's business."""
    return [
        {"name": name, "alias": name, "path": file.name, "metadata": {}} for name, file in service.shelf.loras.items()
    ]


def embeddings(service: Service) -> dict[str, dict[str, Any]]:
    """Every embedding that a text may name; they are read when one does, so nothing else is known of them."""
    unknown: dict[str, Any] = {
        "step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0, "vectors": 0,
    }  # fmt: skip
    return {"loaded": {name: dict(unknown) for name in service.shelf.embeddings}, "skipped": {}}


def options(service: Service) -> dict[str, Any]:
    """The options that clients look for."""
    return {
        "sd_model_checkpoint": service.chosen.get("model") or service.models.names[0],
        "sd_checkpoint_hash": "",
        "sd_vae": "Automatic",
        "samples_format": "png",
        "CLIP_stop_at_last_layers": int(service.chosen.get("clip_skip", 1)),
        "img2img_fix_steps": False,
    }


def answers(service: Service) -> dict[str, Callable[[], Any]]:
    """What each list's path answers."""
    return {
        "options": lambda: options(service),
        "sd-models": lambda: models(service),
        "samplers": samplers,
        "schedulers": schedules,
        "upscalers": upscalers,
        "latent-upscale-modes": lambda: [{"name": "Latent"}],
        "loras": lambda: loras(service),
        "embeddings": lambda: embeddings(service),
        "scripts": lambda: {"txt2img": [], "img2img": []},
        "cmd-flags": dict,
        "memory": lambda: {"ram": {}, "cuda": {"error": "there is none here"}},
        **{name: list for name in EMPTY},
    }
