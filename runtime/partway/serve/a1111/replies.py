"""What comes back in A1111's shapes: pictures with their ``info``, progress, errors."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from partway.diffusion.names import A1111_SAMPLERS
from partway.pictures.metadata import parameters_text
from partway.serve.files import encoded, preview
from partway.serve.jobs import Job
from partway.serve.refusals import Refusal

Content = dict[str, Any]


def error(problem: Refusal) -> Content:
    """An error as A1111 tells it."""
    return {"error": problem.kind, "detail": problem.message, "body": "", "errors": problem.message}


def status(problem: Refusal) -> int:
    """What A1111 calls a bad value."""
    return 422 if problem.status == 400 else problem.status


def pictures(job: Job, fields: Mapping[str, Any]) -> Content:
    """The answer with every picture, without a prefix, and never a grid."""
    send = fields.get("send_images") is not False
    data = [encoded(made.result.image, made.record) for made in job.made] if send else []
    kept = fields.get("include_init_images") is True
    parameters = {
        name: value if kept or name not in ("init_images", "mask") else None
        for name, value in fields.items()
        if name not in ("auth", "url")
    }
    images = [base64.b64encode(one).decode() for one in data]
    return {"images": images, "parameters": parameters, "info": json.dumps(info(job))}


def info(job: Job) -> Content:
    """What A1111 says of pictures, as an object."""
    request, results = job.request, [made.result for made in job.made]
    first, texts = results[0], [parameters_text(made.record) for made in job.made]
    settings, seeds = first.settings, [result.seeds[0] for result in results]
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * len(results),
        "negative_prompt": settings.negative_prompt,
        "all_negative_prompts": [settings.negative_prompt] * len(results),
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": settings.variation_seed,
        "all_subseeds": [settings.variation_seed] * len(results),
        "subseed_strength": settings.variation_strength,
        "width": first.image.width,
        "height": first.image.height,
        "sampler_name": A1111_SAMPLERS.get(first.plan.sampler, first.plan.sampler),
        "cfg_scale": settings.guidance_scale,
        "steps": settings.steps,
        "batch_size": len(results),
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": request.model,
        "sd_model_hash": "",
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": settings.strength if request.start is not None else None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": datetime.now().strftime("%Y%m%d%H%M%S"),
        "clip_skip": settings.layers_skipped + 1,
        "is_using_inpainting_conditioning": False,
        "version": "partway",
    }


def progress(job: Job | None, waiting: int, *, picture: bool) -> Content:
    """How far the client's request is; idle where it has none. ``picture`` is whether the preview comes with it."""
    step = job.step if job else None
    state = {
        "skipped": False,
        "interrupted": bool(job and job.stopped),
        "stopping_generation": bool(job and job.stopped),
        "job": "partway" if job else "",
        "job_count": waiting,
        "job_timestamp": "0" if job is None else job.id[:14],
        "job_no": len(job.made) if job else 0,
        "sampling_step": step.index if step else 0,
        "sampling_steps": job.request.plan.steps_run if job else 0,
    }
    current = base64.b64encode(preview(step, job.request.size)).decode() if picture and step and job else None
    return {
        "progress": job.progress if job else 0.0,
        "eta_relative": (job.seconds_left if job else None) or 0.0,
        "state": state,
        "current_image": current,
        "textinfo": None,
    }
