"""What diffusers' own pipeline and those that inherit from it have in common: a call, a sampler, a seed."""

from time import perf_counter
from typing import Any

from benchmarks.jobs import Job, Made, Make, Request
from benchmarks.tools.stages import Stages

SCHEDULERS = {"ddim": "DDIMScheduler", "euler": "EulerDiscreteScheduler", "dpmpp_2m": "DPMSolverMultistepScheduler"}


def maker(pipe: Any, job: Job) -> Make:
    """A loaded image-to-image pipeline as a `Make`."""
    import diffusers
    import torch
    from PIL import Image

    if job.settings:
        raise ValueError(f"{job.tool} takes no settings of partway's: {', '.join(job.settings)}")
    scheduler = getattr(diffusers, SCHEDULERS[job.sampler])
    extra = (
        {"clip_sample": False, "set_alpha_to_one": True} if job.sampler == "ddim" else {}
    )  # its default is for models of pixels
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **extra)
    pipe.set_progress_bar_config(disable=True)
    stages = Stages(pipe)

    def make(request: Request) -> Made:
        kept: dict[str, Any] = {}

        def keep(_pipe: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            kept["latents"] = tensors["latents"]
            return tensors

        stages.clear()
        begun = perf_counter()
        picture = pipe(
            request.prompt,
            image=Image.open(request.image).convert("RGB"),
            num_inference_steps=request.steps,
            strength=request.strength,
            guidance_scale=job.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(job.seed),
            callback_on_step_end=keep,
        ).images[0]
        other = perf_counter() - begun - sum(stages.seconds.values())
        latents = kept["latents"].detach().float().numpy()
        return Made(picture, {**stages.seconds, "other": other}, dict(stages.calls), latents)

    return make
